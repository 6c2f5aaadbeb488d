/** Paying for a run: the price first, then a person's yes, then exactly one call. */

import { button, fill, h } from "./dom";
import { type Facts, price as priceOf, type Price, run as runOf, type Run } from "./facts";
import { units } from "./format";
import type { Page } from "./page";
import { inWords, Problem } from "./server";

export interface Wanted {
  /** Begins what is asked, as in "Again with seed 7". */
  words: string;
  given: Facts;
  /** Whether a payment has left that is not yet answered. */
  paying: (out: boolean) => void;
  started: (run: Run) => void;
  closed: () => void;
}

/** A panel that asks for the price of a run and starts it after a yes. */
export function order(page: Page, wanted: Wanted): HTMLElement {
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
    fill(body, h("p", { class: "meta", role: "status" }, "Asking for the price…"));
    try {
      const price = priceOf(await page.server.call("estimate_price", wanted.given));
      if (!price) throw new Problem("NO_PRICE", "The server named no price.");
      confirm(price);
    } catch (error) {
      fill(body, trouble(error), h("div", { class: "buttons" }, cancel("Close")));
    }
    panel.focus();
  }

  function confirm(price: Price): void {
    const balance =
      price.balance !== undefined && price.remaining !== undefined
        ? h("p", { class: "meta" }, `Balance ${units(price.balance)}, ${units(price.remaining)} after the run.`)
        : undefined;
    const leave = cancel("Cancel");
    const start = button(`Start for ${units(price.price)}`, {
      class: "button strong",
      onclick: () => void pay(price, start, leave),
    });
    fill(
      body,
      h("p", { class: "price" }, h("strong", {}, units(price.price)), h("span", {}, "estimated")),
      balance,
      price.warning !== undefined && h("p", { class: "notice" }, price.warning),
      !price.sufficient && h("p", { class: "notice bad" }, price.nextStep ?? "The balance is too low."),
      h("div", { class: "buttons" }, price.sufficient && start, leave),
    );
    page.announce(`This costs ${units(price.price)}. Start or cancel.`);
  }

  async function pay(price: Price, start: HTMLButtonElement, leave: HTMLButtonElement): Promise<void> {
    if (start.disabled) return;
    start.disabled = true;
    // What has left cannot be cancelled.
    leave.disabled = true;
    start.textContent = "Starting…";
    wanted.paying(true);
    const given = { ...wanted.given, max_price_creative_units: price.price, preview: false };
    try {
      const run = runOf(await page.server.call("execute_inference", given));
      if (!run) throw new Problem("NO_RUN", "The server named no run.", "See list_runs.");
      page.tell(`${wanted.words}: the user confirmed ${units(price.price)} in the gallery. Run ${run.runId} was started.`);
      wanted.paying(false);
      wanted.started(run);
    } catch (error) {
      wanted.paying(false);
      failed(trouble(afterPaying(error)));
    }
  }

  /** Says why nothing was started, also to someone who has left the panel. */
  function failed(why: HTMLElement): void {
    if (!panel.isConnected) {
      const element = h("article", { class: "plain" }, h("h1", {}, wanted.words), why);
      return page.open(() => ({ element, dispose: () => undefined }));
    }
    fill(body, why, h("div", { class: "buttons" }, cancel("Close")));
    panel.focus();
  }

  void ask();
  return panel;
}

/** Without an answer of the server nobody here knows whether the host handed the call on. */
function afterPaying(error: unknown): unknown {
  if (!(error instanceof Problem) || !error.byHost) return error;
  return new Problem(
    "OUTCOME_UNKNOWN",
    "No answer came. The run may have been started and paid for.",
    "Ask in the chat for the runs of today before you start it again.",
  );
}

function trouble(error: unknown): HTMLElement {
  const code = error instanceof Problem && !error.byHost ? h("code", {}, error.code) : undefined;
  return h("div", { class: "notice bad", role: "alert" }, h("div", {}, h("p", {}, inWords(error)), code));
}
