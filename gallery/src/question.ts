/** A price that a person must approve before a call starts its run. */

import { fill, h } from "./dom";
import { type Facts, text } from "./facts";
import { counted } from "./format";
import { modelOf } from "./model";
import { askedPrice, order, type PaidTool } from "./order";
import type { Page, View } from "./page";
import { askedCount } from "./placeholders";
import { runView } from "./run_view";
import type { Problem } from "./server";

const HOW_TO_PAY = ["max_price_creative_units", "wait_seconds", "preview"];

/** Return the view of a call that waits for approval; nothing for other problems. */
export function questionView(page: Page, problem: Problem, asked: Facts): View | undefined {
  const tool = paidTool(asked);
  const isQuestion = askedPrice(problem) !== undefined || problem.code === "PRICE_UNKNOWN";
  if (!tool || !isQuestion) return undefined;
  const given = { ...asked };
  for (const name of HOW_TO_PAY) delete (given as Facts)[name];

  const stop = new AbortController();
  const pill = h("p", { class: "pill" });
  const meta = h("p", { class: "meta" });
  const place = h("div", {});
  const element = h(
    "article",
    { class: "question" },
    h("header", { class: "head" }, pill, h("h1", {}, text(asked.prompt) ?? (tool === "execute_workflow" ? "Workflow run" : "Run")), meta),
    place,
  );

  function state(words: string): void {
    fill(pill, h("span", { class: "dot" }), words);
  }

  function ask(): void {
    state("Waiting for your approval");
    fill(place, order(page, { words: "Start this run?", given, tool, answered: problem, paying: () => undefined, started, closed }));
  }

  function started(run: Parameters<typeof runView>[1]["run"]): void {
    page.replace(() => runView(page, { run, prompt: text(asked.prompt), asked }));
  }

  function closed(): void {
    state("Not started");
    const again = h("button", { type: "button", class: "link", onclick: ask }, "Show the price again");
    fill(place, h("p", { class: "notice" }, "You didn't start this run, so nothing was charged. ", again));
    again.focus();
  }

  async function describe(): Promise<void> {
    const count = tool === "execute_inference" ? counted(askedCount(asked), "file") : undefined;
    const size = asked.width && asked.height ? `${String(asked.width)} × ${String(asked.height)}` : undefined;
    const draw = (name?: string): void => {
      meta.textContent = [name, count, size].filter(Boolean).join(" · ");
    };
    draw();
    const modelId = text(asked.model_id);
    const model = modelId ? await modelOf(page.server, modelId, text(asked.workspace_id)) : undefined;
    if (!stop.signal.aborted) draw(model?.name);
  }

  ask();
  void describe();
  return { element, dispose: () => stop.abort() };
}

/** Return the paid tool that takes these arguments. */
export function paidTool(asked: Facts): PaidTool | undefined {
  if (text(asked.workflow_id)) return text(asked.run_id) ? undefined : "execute_workflow";
  return text(asked.model_id) ? "execute_inference" : undefined;
}
