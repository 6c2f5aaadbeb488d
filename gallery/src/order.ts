/** Pay for a run: show the price, wait for approval, then make exactly one call. */

import { button, fill, h } from "./dom";
import { type Facts, price as priceOf, type Price, run as runOf, type Run } from "./facts";
import { units } from "./format";
import type { Page } from "./page";
import { inWords, Problem } from "./server";

export type PaidTool = "execute_inference" | "execute_workflow";

export interface Wanted {
  /** The title, such as "Run again with seed 7". */
  words: string;
  /** The request without the arguments for paying and waiting. */
  given: Facts;
  tool?: PaidTool;
  /** The server's earlier answer about the price, if any. */
  answered?: Problem;
  /** Whether a payment was sent that has no answer yet. */
  paying: (sent: boolean) => void;
  started: (run: Run) => void;
  closed: () => void;
}

const ESTIMATES: Record<PaidTool, string> = {
  execute_inference: "estimate_price",
  execute_workflow: "estimate_workflow",
};
// A person can approve these prices; the other limits are in the settings.
const QUESTIONS = new Set(["CONFIRMATION_REQUIRED", "PRICE_ABOVE_MAX"]);

/** Return the price that needs approval, if that is why a call failed. */
export function askedPrice(error: unknown): Price | undefined {
  return error instanceof Problem && QUESTIONS.has(error.code) ? error.price : undefined;
}

/** A panel that shows the price of a run and starts it after approval. */
export function order(page: Page, wanted: Wanted): HTMLElement {
  const tool = wanted.tool ?? "execute_inference";
  const body = h("div", {});
  const panel = h(
    "section",
    { class: "panel", tabindex: -1, "aria-label": "Confirm the price" },
    h("h2", {}, wanted.words),
    body,
  );

  function cancel(words: string): HTMLButtonElement {
    return button(words, { class: "button quiet", onclick: wanted.closed });
  }

  async function ask(): Promise<void> {
    fill(body, h("p", { class: "meta", role: "status" }, "Getting the price…"));
    try {
      const price = priceOf(await page.server.call(ESTIMATES[tool], wanted.given));
      if (!price) throw new Problem("PRICE_UNKNOWN", "Layer didn't give a price.");
      confirm(price);
    } catch (error) {
      unpriced(error);
    }
    panel.focus();
  }

  function unpriced(error: unknown): void {
    const again = button("Try again", { onclick: () => void ask() });
    fill(body, trouble(error), h("div", { class: "buttons" }, again, cancel("Close")));
  }

  function confirm(price: Price, reason?: string): void {
    const balance = balanceWords(price);
    const leave = cancel("Cancel");
    const start = button(`Start for ${units(price.price)}`, {
      class: "button strong",
      onclick: () => void pay(price, start, leave),
    });
    fill(
      body,
      h("p", { class: "price" }, h("strong", {}, units(price.price)), h("span", {}, price.simulated ? "simulated" : "estimated")),
      reason !== undefined && h("p", {}, reason),
      balance !== undefined && h("p", { class: "meta" }, balance),
      price.warning !== undefined && h("p", { class: "notice" }, price.warning),
      !price.sufficient && h("p", { class: "notice bad" }, missingWords(price)),
      h("div", { class: "buttons" }, price.sufficient && start, leave),
    );
    page.announce(`This costs ${units(price.price)}. Start or cancel.`);
  }

  async function pay(price: Price, start: HTMLButtonElement, leave: HTMLButtonElement): Promise<void> {
    if (start.disabled) return;
    start.disabled = true;
    // A sent call can't be canceled.
    leave.disabled = true;
    start.textContent = "Starting…";
    wanted.paying(true);
    const given = { ...wanted.given, max_price_creative_units: price.price, preview: false };
    try {
      const run = runOf(await page.server.call(tool, given));
      if (!run) throw new Problem("OUTCOME_UNKNOWN", "The server didn't name the run.");
      page.tell(
        `The user approved ${units(price.price)} in the gallery (${wanted.words}). Run ${run.runId} was started. ` +
          "Do not start it again.",
      );
      wanted.paying(false);
      wanted.started(run);
    } catch (error) {
      wanted.paying(false);
      const changed = askedPrice(error);
      if (changed && panel.isConnected) return confirm({ ...changed, balance: price.balance }, "The price has changed.");
      failed(trouble(afterPaying(error)));
    }
  }

  /** Announces why nothing was started, even if the panel has lost focus. */
  function failed(why: HTMLElement): void {
    if (!panel.isConnected) {
      const element = h("article", { class: "plain" }, h("h1", {}, wanted.words), why);
      return page.open(() => ({ element, dispose: () => undefined }));
    }
    fill(body, why, h("div", { class: "buttons" }, cancel("Close")));
    panel.focus();
  }

  const known = askedPrice(wanted.answered);
  if (known) confirm(known, reasonOf(wanted.answered));
  else if (wanted.answered) unpriced(wanted.answered);
  else void ask();
  return panel;
}

function reasonOf(answered: Problem | undefined): string | undefined {
  const words: Record<string, string> = {
    CONFIRMATION_REQUIRED: "A run at this price needs your approval. Nothing has been sent yet.",
    PRICE_ABOVE_MAX: "This is more than your agent was going to spend. Nothing has been sent yet.",
  };
  return words[answered?.code ?? ""];
}

function balanceWords({ price, balance, remaining, simulated }: Price): string | undefined {
  if (simulated) return "In the sandbox, nothing is charged.";
  if (balance === undefined) return undefined;
  const after = remaining ?? balance - price;
  return after < 0 ? `Balance ${units(balance)}.` : `Balance ${units(balance)}, ${units(after)} after this run.`;
}

function missingWords({ price, balance }: Price): string {
  const missing = balance === undefined ? undefined : price - balance;
  const short = missing !== undefined && missing > 0 ? `${units(missing)} short` : "too low";
  return `Your balance is ${short}. Add Creative Units at app.layer.ai.`;
}

/** Without the server's answer, the page can't know whether the host passed the call on. */
function afterPaying(error: unknown): unknown {
  if (!(error instanceof Problem) || !error.byHost) return error;
  return new Problem("OUTCOME_UNKNOWN", "No answer came, so the run may have been started.");
}

function trouble(error: unknown): HTMLElement {
  const code = error instanceof Problem && !error.byHost ? h("code", {}, error.code) : undefined;
  return h("div", { class: "notice bad", role: "alert" }, h("div", {}, h("p", {}, inWords(error)), code));
}
