/** Poll until something has ended, with a limit. */

import { Problem } from "./server";

const PAUSE_MS = 1_000;
const MOST_FAILURES = 3;
const MOST_MS = 3_600_000;

/** The longest wait of one poll; the server follows the interval that Layer asks for. */
export const WAIT_SECONDS = 20;

interface Followed {
  /** Poll once; true if there is nothing left to wait for. */
  look: () => Promise<boolean>;
  /** A poll failed; `last` if it was the last attempt. */
  failed: (error: unknown, last: boolean) => void;
  stop: AbortSignal;
}

/** Poll until the end, three failures in a row, or an hour has passed. */
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
  if (!stop.aborted) failed(new Problem("LOOKED_LONG", "This page stopped checking after an hour."), true);
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

/** A hidden page doesn't poll. */
function visible(stop: AbortSignal): Promise<void> {
  if (!document.hidden) return Promise.resolve();
  return new Promise((done) => {
    document.addEventListener("visibilitychange", () => done(), { once: true, signal: stop });
    stop.addEventListener("abort", () => done(), { once: true });
  });
}
