/** The meaning of a status on the page. */

export type Phase = "running" | "done" | "failed" | "stopped" | "unknown";

interface Meaning {
  phase: Phase;
  words: string;
}

const MEANINGS: Record<string, Meaning> = {
  queued: { phase: "running", words: "Queued" },
  sending: { phase: "running", words: "Starting" },
  in_progress: { phase: "running", words: "Generating" },
  complete: { phase: "done", words: "Complete" },
  failed: { phase: "failed", words: "Failed" },
  cancelled: { phase: "stopped", words: "Canceled" },
  deleted: { phase: "stopped", words: "Deleted" },
  not_sent: { phase: "stopped", words: "Not sent" },
  unknown: { phase: "unknown", words: "Outcome unknown" },
};

/** Return the phase of a status and a word for it; unknown statuses are shown unchanged. */
export function meaning(status: string): Meaning {
  const known = Object.hasOwn(MEANINGS, status) ? MEANINGS[status] : undefined;
  return known ?? { phase: "unknown", words: status.slice(0, 40).replaceAll("_", " ") };
}
