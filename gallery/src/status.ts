/** What a status means for the page. */

export type Phase = "running" | "done" | "failed" | "stopped" | "unknown";

interface Meaning {
  phase: Phase;
  words: string;
}

const MEANINGS: Record<string, Meaning> = {
  queued: { phase: "running", words: "In line" },
  sending: { phase: "running", words: "Sending" },
  in_progress: { phase: "running", words: "Generating" },
  complete: { phase: "done", words: "Complete" },
  failed: { phase: "failed", words: "Failed" },
  cancelled: { phase: "stopped", words: "Cancelled" },
  deleted: { phase: "stopped", words: "Deleted" },
  not_sent: { phase: "stopped", words: "Not sent" },
  unknown: { phase: "unknown", words: "Outcome unknown" },
};

/** The phase of a status and a word for it; what Layer may add later is shown as it is. */
export function meaning(status: string): Meaning {
  const known = Object.hasOwn(MEANINGS, status) ? MEANINGS[status] : undefined;
  return known ?? { phase: "unknown", words: status.slice(0, 40).replaceAll("_", " ") };
}
