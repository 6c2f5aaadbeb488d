/** One run: its state while it goes on, then its files, its price and what can be done with them. */

import { actions } from "./actions";
import { fill, h, icon } from "./dom";
import type { Facts, OutputFile, Run, RunRecord } from "./facts";
import { run as runOf, runRecord } from "./facts";
import { follow, WAIT_SECONDS } from "./follow";
import { clock, counted, moment, units } from "./format";
import { type Model, modelOf } from "./model";
import { outputCards } from "./outputs";
import type { Page, View } from "./page";
import { parameters } from "./parameters";
import { inWords } from "./server";
import { meaning } from "./status";

/** What is known of a run when its view opens. */
export interface Opening {
  run: Run;
  prompt?: string;
}

const MOST_PLACES = 8;

export function runView(page: Page, { run: first, prompt }: Opening): View {
  const stop = new AbortController();
  const began = Date.now();
  let run = first;
  let known: RunRecord | undefined;
  let model: Model | undefined;
  let shownFiles: string | undefined;

  const pill = h("p", { class: "pill" });
  const title = h("h1", {});
  const meta = h("p", { class: "meta" });
  const notice = h("div", { class: "notices" });
  const stage = h("section", { class: "stage", "aria-label": "Files" });
  const price = h("p", { class: "price" });
  const facts = h("div", {});
  const doing = actions(page, {
    current: () => ({ run, known, model }),
    ready: () => learned,
    open: (started, asked) => page.open(() => runView(page, { run: started, prompt: asked })),
  });
  const trouble = h("p", { class: "notice", role: "status", hidden: true });
  const files = outputCards(page, { useAsReference: doing.useAsReference });
  const element = h(
    "article",
    { class: "run" },
    h("header", { class: "head" }, pill, title, meta),
    h("div", { class: "columns" },
      h("div", { class: "main" }, trouble, notice, stage),
      h("aside", { class: "side", "aria-label": "Price and actions" }, price, doing.element, facts),
    ),
  );

  function draw(): void {
    const { phase, words } = meaning(run.status);
    element.dataset.phase = phase;
    fill(pill, h("span", { class: "dot" }), words);
    title.textContent = known?.prompt ?? prompt ?? (run.workflowId ? "Workflow run" : "Run");
    const time = moment(known?.askedAt, page.locale);
    const parts = [model?.name, time, run.simulated ? "Simulated, not charged" : undefined];
    meta.textContent = parts.filter(Boolean).join(" · ");
    fill(notice, ...notices(run));
    fill(price, ...priceWords(run));
    fill(facts, parameters(run, known, model));
    drawStage(phase === "running");
    doing.draw();
  }

  function drawStage(running: boolean): void {
    const signature = JSON.stringify([run.status, run.outputs]);
    if (signature === shownFiles) return;
    shownFiles = signature;
    if (run.outputs.length > 0) {
      fill(stage, files.show(merged(run.outputs, known?.outputs), run.moreOutputs), running && waiting());
    } else if (running) {
      fill(stage, waiting());
    } else {
      fill(stage, empty(run));
    }
  }

  function waiting(): HTMLElement {
    const asked = known?.asked?.batch_size;
    const count = typeof asked === "number" ? Math.min(Math.max(asked, 1), MOST_PLACES) : 1;
    const elapsed = h("span", { class: "elapsed" });
    const since = Date.parse(known?.askedAt ?? "") || began;
    const tick = (): void => {
      elapsed.textContent = clock((Date.now() - since) / 1000);
    };
    tick();
    const timer = setInterval(() => (elapsed.isConnected ? tick() : clearInterval(timer)), 1_000);
    stop.signal.addEventListener("abort", () => clearInterval(timer), { once: true });
    const places = Array.from({ length: count }, () => h("div", { class: "place" }));
    const usual = model?.timing ? `usually ${model.timing.replace(/(\d)s$/, "$1 s")}` : undefined;
    return h(
      "div",
      { class: "waiting" },
      h("div", { class: count === 1 ? "places one" : "places" }, ...places),
      h("div", { class: "bar", role: "progressbar", "aria-label": "The run goes on" }),
      h("p", { class: "meta" }, elapsed, usual && ` · ${usual}`),
    );
  }

  async function look(waitSeconds: number): Promise<boolean> {
    const answer = await page.server.call(...lookAt(run, waitSeconds));
    if (stop.signal.aborted) return true;
    trouble.hidden = true;
    const next = runOf(answer);
    if (!next) return false;
    const before = meaning(run.status).phase;
    run = { ...next, estimatedPrice: next.estimatedPrice ?? run.estimatedPrice };
    draw();
    const { phase, words } = meaning(run.status);
    if (phase !== before) {
      page.announce(`${words}. ${counted(run.outputs.length + run.moreOutputs, "file")}.`);
    }
    return phase !== "running";
  }

  function failed(error: unknown, last: boolean): void {
    trouble.hidden = false;
    const again = h("button", { type: "button", class: "link", onclick: watch }, "Look again");
    fill(trouble, `No news of the run. ${inWords(error)} `, last && again);
  }

  function watch(): void {
    trouble.hidden = true;
    void follow({ look: () => look(WAIT_SECONDS), failed, stop: stop.signal });
  }

  async function learn(): Promise<void> {
    const uri = `layer://runs/${encodeURIComponent(run.runId)}`;
    known = runRecord(await page.server.read(uri).catch(() => undefined));
    if (!stop.signal.aborted) redraw();
    if (known.modelId) model = await modelOf(page.server, known.modelId, known.workspaceId);
    if (!stop.signal.aborted) redraw();
  }

  function redraw(): void {
    if (run.outputs.length === 0) shownFiles = undefined;
    draw();
  }

  draw();
  const learned = learn();
  if (meaning(run.status).phase === "running") watch();
  return {
    element,
    dispose: () => {
      stop.abort();
      files.dispose();
    },
  };
}

/** The call that looks at a run. */
export function lookAt(run: Run, waitSeconds: number): [string, Facts] {
  const common = { workspace_id: run.workspaceId, wait_seconds: waitSeconds, preview: false };
  return run.workflowId
    ? ["get_workflow_status", { workflow_id: run.workflowId, run_id: run.runId, ...common }]
    : ["get_status", { inference_id: run.runId, ...common }];
}

function notices(run: Run): HTMLElement[] {
  const shown: HTMLElement[] = [];
  if (run.error) {
    shown.push(
      h(
        "div",
        { class: "notice bad", role: "alert" },
        icon("warning"),
        h("div", {}, h("strong", {}, run.error.message), h("p", {}, run.nextStep), h("code", {}, run.error.code)),
      ),
    );
  }
  if (run.warning) shown.push(h("p", { class: "notice" }, run.warning));
  if (run.duplicate) {
    shown.push(h("p", { class: "notice" }, "This is the run of an earlier, equal call. Nothing was paid again."));
  }
  return shown;
}

function priceWords(run: Run): (Node | string)[] {
  const { actualPrice: actual, estimatedPrice: estimate } = run;
  if (actual !== undefined) {
    const differs = estimate !== undefined && estimate !== actual;
    return [
      h("strong", {}, units(actual)),
      h("span", {}, differs ? `charged, ${units(estimate)} estimated` : "charged"),
    ];
  }
  if (estimate !== undefined) return [h("strong", {}, units(estimate)), h("span", {}, "estimated")];
  return [h("span", {}, "The price is not known here.")];
}

function empty(run: Run): HTMLElement {
  const { phase } = meaning(run.status);
  const words = {
    done: "The run is complete, but Layer names no file.",
    failed: "This run made no files.",
    stopped: "The run was stopped before it made files.",
    unknown: "Nothing is known of this run's files.",
    running: "",
  }[phase];
  return h("div", { class: "empty" }, icon(phase === "failed" ? "warning" : "picture"), h("p", {}, words));
}

/** The answer's files, with the previews that only the journal remembers. */
function merged(files: OutputFile[], remembered: OutputFile[] = []): OutputFile[] {
  return files.map((file) => {
    const same = remembered.find((other) => file.fileId && other.fileId === file.fileId);
    return { ...file, previewUrl: file.previewUrl ?? same?.previewUrl };
  });
}
