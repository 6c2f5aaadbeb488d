/** The price of a run, and whether it was charged. */

import { units } from "./format";
import { meaning } from "./status";

interface Priced {
  status: string;
  estimatedPrice?: number;
  actualPrice?: number;
}

export interface Charge {
  amount?: string;
  words: string;
}

/** The price of a run, and whether it was charged. */
export function chargeOf({ status, estimatedPrice: estimate, actualPrice: actual }: Priced, simulated: boolean): Charge {
  const { phase } = meaning(status);
  // Layer gives a failed run a price only if it charges it.
  const free = actual === undefined ? phase === "failed" || status === "not_sent" : actual === 0;
  if (free && phase !== "done") return { words: "Not charged" };
  if (actual !== undefined) {
    if (simulated) return { amount: units(actual), words: "simulated, not charged" };
    const differs = estimate !== undefined && estimate !== actual;
    return { amount: units(actual), words: differs ? `charged, ${units(estimate)} estimated` : "charged" };
  }
  if (estimate === undefined) return { words: "Price unknown" };
  const words = simulated ? "simulated" : { running: "estimated", done: "estimated", failed: "", stopped: "estimated, no charge reported", unknown: "estimated, may be charged" }[phase];
  return { amount: units(estimate), words };
}
