/** One run: its progress, then its files, its price and its actions. */

import { actions } from "./actions";
import { adviceForRun } from "./advice";
import { chargeOf } from "./charge";
import { fill, h, icon } from "./dom";
import type { Facts, OutputFile, Run, RunRecord } from "./facts";
import { run as runOf, runRecord, text } from "./facts";
import { follow, WAIT_SECONDS } from "./follow";
import { clock, counted, moment } from "./format";
import { type Model, modelOf } from "./model";
import { outputCards } from "./outputs";
import type { Page, View } from "./page";
import { parameters } from "./parameters";
import { placeholders } from "./placeholders";
import { inWords } from "./server";
import { meaning } from "./status";

/** What is known about a run when its view opens. */
export interface Opening {
  run: Run;
  prompt?: string;
  /** The arguments of the call that started it, if this page knows them. */
  asked?: Facts;
}

interface Frame {
  element: HTMLElement;
  pill: HTMLElement;
  title: HTMLElement;
  meta: HTMLElement;
  bar: HTMLElement;
}

/** The parts of a run's page, which keep their places while the run progresses. */
function frame(bill: HTMLElement[], main: HTMLElement[], side: HTMLElement[]): Frame {
  const pill = h("p", { class: "pill" });
  const title = h("h1", {});
  const meta = h("p", { class: "meta" });
  const bar = h("div", { class: "bar", role: "progressbar", "aria-label": "The run is in progress" });
  const element = h(
    "article",
    { class: "run" },
    h("header", { class: "head" }, pill, title, meta, bar),
    h(
      "div",
      { class: "columns" },
      h("section", { class: "bill", "aria-label": "Price and files" }, ...bill),
      h("div", { class: "main" }, ...main),
      h("aside", { class: "side", "aria-label": "Actions and parameters" }, ...side),
    ),
  );
  return { element, pill, title, meta, bar };
}

/** A run that was requested and has no answer yet. */
export function startingView(asked: Facts): View {
  const stage = asked.workflow_id ? h("div", {}) : placeholders(asked);
  const price = h("p", { class: "price" }, h("span", {}, "Getting the price…"));
  const { element, pill, title } = frame([price], [stage], []);
  element.dataset.phase = "running";
  fill(pill, h("span", { class: "dot" }), "Starting");
  title.textContent = text(asked.prompt) ?? (asked.workflow_id ? "Workflow run" : "Run");
  return { element, dispose: () => undefined };
}

export function runView(page: Page, { run: first, prompt, asked: given }: Opening): View {
  const stop = new AbortController();
  const began = Date.now();
  let run = first;
  let known: RunRecord | undefined;
  let model: Model | undefined;
  let shownFiles: string | undefined;

  const failure = h("div", { class: "notices" });
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
  const { element, pill, title, meta, bar } = frame(
    [price, doing.save, doing.saveTrouble],
    [trouble, failure, stage, notice],
    [doing.element, facts],
  );

  function draw(): void {
    const { phase, words } = meaning(run.status);
    const running = phase === "running";
    element.dataset.phase = phase;
    fill(pill, h("span", { class: "dot" }), words, running && elapsed());
    bar.classList.toggle("done", !running);
    title.textContent = known?.prompt ?? prompt ?? (run.workflowId ? "Workflow run" : "Run");
    meta.textContent = [model?.name, moment(known?.askedAt, page.locale)].filter(Boolean).join(" · ");
    fill(failure, failureNotice(run));
    fill(notice, ...notices(run));
    fill(price, ...priceWords(run));
    const isOpen = facts.querySelector("details")?.open ?? false;
    fill(facts, parameters(page, { run, known, model }, isOpen));
    drawStage(running);
    doing.draw();
  }

  function drawStage(running: boolean): void {
    const signature = JSON.stringify([run.status, run.outputs]);
    if (signature === shownFiles) return;
    shownFiles = signature;
    if (run.outputs.length > 0) {
      fill(stage, files.show(merged(run.outputs, known?.outputs), run.moreOutputs));
    } else if (running) {
      fill(stage, !run.workflowId && placeholders(known?.asked ?? given ?? {}, model?.modality));
    } else {
      fill(stage, !run.error && empty(run));
    }
  }

  function elapsed(): HTMLElement {
    const words = h("span", { class: "elapsed" });
    const since = Date.parse(known?.askedAt ?? "") || began;
    const usual = model?.timing ? `usually ${model.timing.replace(/(\d)s$/, "$1 s")}` : undefined;
    const tick = (): void => {
      words.textContent = [clock((Date.now() - since) / 1000), usual].filter(Boolean).join(" · ");
    };
    tick();
    const timer = setInterval(() => (words.isConnected ? tick() : clearInterval(timer)), 1_000);
    stop.signal.addEventListener("abort", () => clearInterval(timer), { once: true });
    return words;
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
    const again = h("button", { type: "button", class: "link", onclick: watch }, "Check again");
    fill(trouble, `The run couldn't be checked. ${inWords(error)} `, last && again);
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

/** Return the call that reads a run. */
export function lookAt(run: Run, waitSeconds: number): [string, Facts] {
  const common = { workspace_id: run.workspaceId, wait_seconds: waitSeconds, preview: false };
  return run.workflowId
    ? ["get_workflow_status", { workflow_id: run.workflowId, run_id: run.runId, ...common }]
    : ["get_status", { inference_id: run.runId, ...common }];
}

function failureNotice(run: Run): HTMLElement | undefined {
  if (!run.error) return undefined;
  const { code, message } = run.error;
  return h(
    "div",
    { class: "notice bad", role: "alert" },
    icon("warning"),
    h("div", {}, h("strong", {}, message), h("p", {}, adviceForRun(code)), h("code", {}, code)),
  );
}

function notices(run: Run): HTMLElement[] {
  if (run.duplicate) {
    const free = run.simulated ? "" : " You weren't charged again.";
    return [h("p", { class: "notice" }, `An earlier, identical request already started this run.${free}`)];
  }
  return run.warning ? [h("p", { class: "notice" }, run.warning)] : [];
}

function priceWords(run: Run): (Node | false)[] {
  const { amount, words } = chargeOf(run, run.simulated);
  return [amount !== undefined && h("strong", {}, amount), h("span", {}, words)];
}

function empty(run: Run): HTMLElement {
  const { phase } = meaning(run.status);
  const words = {
    done: "The run is complete, but it has no files.",
    failed: "This run made no files.",
    stopped: "This run was stopped before it made files.",
    unknown: "The files of this run are unknown.",
    running: "",
  }[phase];
  return h("div", { class: "empty" }, icon(phase === "failed" ? "warning" : "picture"), h("p", {}, words));
}

/** Merge the answer's files with the previews that only the journal has. */
function merged(files: OutputFile[], remembered: OutputFile[] = []): OutputFile[] {
  return files.map((file) => {
    const same = remembered.find((other) => file.fileId && other.fileId === file.fileId);
    return { ...file, previewUrl: file.previewUrl ?? same?.previewUrl };
  });
}
