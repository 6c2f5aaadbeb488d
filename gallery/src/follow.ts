/** Looking again and again until something has ended, within bounds. */

import { Problem } from "./server";

const PAUSE_MS = 1_000;
const MOST_FAILURES = 3;
const MOST_MS = 3_600_000;

/** The longest that the server waits in one look; it paces its own requests as Layer asks. */
export const WAIT_SECONDS = 20;

interface Followed {
  /** One look; true when there is nothing more to wait for. */
  look: () => Promise<boolean>;
  /** A look brought nothing; `last` when there will be no other. */
  failed: (error: unknown, last: boolean) => void;
  stop: AbortSignal;
}

/** Look until the end, until it failed three times in a row, or until an hour is over. */
export async function follow({ look, failed, stop }: Followed): Promise<void> {
  const until = Date.now() + MOST_MS;
  let failures = 0;
  while (!stop.aborted && Date.now() < until) {
    await visible(stop);
    if (stop.aborted) return;
    try {
      if (await look()) return;
      failures = 0;
    } catch (error) {
      failures += 1;
      if (stop.aborted) return;
      failed(error, failures >= MOST_FAILURES);
      if (failures >= MOST_FAILURES) return;
    }
    await pause(PAUSE_MS * 2 ** failures, stop);
  }
  if (!stop.aborted) failed(new Problem("LOOKED_LONG", "This page has looked for an hour."), true);
}

function pause(milliseconds: number, stop: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const wake = (): void => {
      clearTimeout(timer);
      stop.removeEventListener("abort", wake);
      done();
    };
    const timer = setTimeout(wake, milliseconds);
    stop.addEventListener("abort", wake);
  });
}

/** Nobody pays attention to a hidden page, so it does not ask either. */
function visible(stop: AbortSignal): Promise<void> {
  if (!document.hidden) return Promise.resolve();
  return new Promise((done) => {
    document.addEventListener("visibilitychange", () => done(), { once: true, signal: stop });
    stop.addEventListener("abort", () => done(), { once: true });
  });
}
