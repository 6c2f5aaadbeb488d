/** A grid of runs, each of which can be opened. */

import { chargeOf } from "./charge";
import { button, fill, h, icon } from "./dom";
import { type Facts, type Row, run as runOf, runRecord, runs as runsOf, type Runs } from "./facts";
import { follow, WAIT_SECONDS } from "./follow";
import { counted, shortMoment, units } from "./format";
import { address, kindOf } from "./media_kind";
import type { Page, View } from "./page";
import { lookAt, runView } from "./run_view";
import { inWords } from "./server";
import { meaning } from "./status";

const AT_ONCE = 24;
const MOST_FOLLOWED = 100;
const THUMBNAILS_AT_ONCE = 4;
const CODE = /^[A-Z_]+: /;
const FILTERS = ["status", "since", "batch_id", "inference_ids", "workspace_id"];

interface Card {
  element: HTMLElement;
  draw: (row: Row) => void;
}

/** The view of an answer of list_runs; `asked` are the arguments of that call. */
export function listView(page: Page, first: Runs, asked: Facts): View {
  const stop = new AbortController();
  const rows = [...first.rows];
  const cards: Card[] = [];
  let answer = first;
  let shown = 0;

  const title = h("h1", {});
  const meta = h("p", { class: "meta" });
  const trouble = h("p", { class: "notice", role: "status", hidden: true });
  const grid = h("ul", { class: "runs" });
  const rest = h("div", { class: "rest" });
  const element = h(
    "article",
    { class: "list" },
    h("header", { class: "head" }, title, meta),
    trouble,
    grid,
    rest,
  );
  const thumbnails = thumbnailLoader(page, stop.signal);

  function drawHead(): void {
    title.textContent = counted(answer.total, "run");
    // The content of earlier pages is unknown until they are loaded.
    const more = answer.nextCursor === undefined ? "" : "+";
    const files = rows.reduce((sum, { files }) => sum + files, 0);
    const models = new Set(rows.map(({ modelId }) => modelId).filter(Boolean)).size;
    const parts = [
      answer.running > 0 ? `${answer.running} running` : undefined,
      answer.simulated ? `${units(answer.spent)} simulated, nothing charged` : `${units(answer.spent)} spent`,
      files > 0 ? counted(files, "file", more) : undefined,
      models > 0 ? counted(models, "model", more) : undefined,
    ];
    meta.textContent = rows.length > 0 ? parts.filter(Boolean).join(" · ") : "";
    if (answer.warning) say(answer.warning);
  }

  function say(words: string, ...more: (Node | false)[]): void {
    trouble.hidden = false;
    fill(trouble, words, ...more);
  }

  function addMore(): void {
    for (const row of rows.slice(shown, shown + AT_ONCE)) {
      const card = runCard(row);
      cards.push(card);
      grid.append(card.element);
    }
    shown = Math.min(shown + AT_ONCE, rows.length);
    drawRest();
  }

  function drawRest(): void {
    const hidden = rows.length - shown;
    const older = button("Older runs", { onclick: () => void loadOlder(older) });
    fill(
      rest,
      rows.length === 0 && empty(),
      hidden > 0 && button(`Show ${Math.min(hidden, AT_ONCE)} more`, { onclick: addMore }),
      hidden === 0 && answer.nextCursor !== undefined && older,
    );
  }

  function empty(): HTMLElement {
    const filtered = FILTERS.some((name) => isGiven(asked[name]));
    const all = button("Show all runs", { onclick: () => void showAll(all) });
    const words = filtered ? "No runs match these filters." : "No runs yet. Runs started from here show up in this list.";
    return h("div", { class: "empty" }, icon("picture"), h("p", {}, words), filtered && all);
  }

  async function showAll(pressed: HTMLButtonElement): Promise<void> {
    pressed.disabled = true;
    try {
      const found = runsOf(await page.server.call("list_runs", {}));
      if (found && !stop.signal.aborted) page.open(() => listView(page, found, {}));
    } catch (error) {
      say(inWords(error));
    }
    pressed.disabled = false;
  }

  async function loadOlder(pressed: HTMLButtonElement): Promise<void> {
    pressed.disabled = true;
    try {
      const given = { ...asked, cursor: answer.nextCursor, wait_for: "none" };
      const next = runsOf(await page.server.call("list_runs", given));
      if (stop.signal.aborted) return;
      rows.push(...(next?.rows ?? []));
      answer = { ...answer, nextCursor: next?.nextCursor };
      drawHead();
      addMore();
    } catch (error) {
      say(inWords(error));
      pressed.disabled = false;
    }
  }

  function runCard(row: Row): Card {
    const pill = h("span", { class: "pill" });
    const prompt = h("span", { class: "prompt" });
    const facts = h("span", { class: "meta" });
    const picture = h("span", { class: "thumbnail" });
    const inside = [picture, pill, prompt, facts];
    const opens = row.runId !== undefined;
    const body = opens
      ? h("button", { type: "button", class: "run-card", onclick: () => void open(row, body) }, ...inside)
      : h("div", { class: "run-card" }, ...inside);
    const draw = (now: Row): void => {
      const { phase, words } = meaning(now.status);
      body.dataset.phase = phase;
      fill(pill, h("span", { class: "dot" }), words);
      prompt.textContent = now.prompt ?? (now.workflowId ? "Workflow run" : "Run without a prompt");
      const { amount, words: cost } = chargeOf(now, answer.simulated);
      const parts = [amount ?? cost, shortMoment(now.askedAt, page.locale)];
      const error = now.error?.replace(CODE, "");
      fill(facts, parts.filter(Boolean).join(" · "), error !== undefined && h("span", { class: "error" }, error));
      fill(picture, phase === "running" ? h("span", { class: "place" }) : icon(phase === "done" ? "picture" : "warning"));
      if (phase === "done" && now.runId) thumbnails.want(picture, now.runId);
    };
    draw(row);
    return { element: h("li", {}, body), draw };
  }

  async function open(row: Row, body: HTMLElement): Promise<void> {
    if (body.ariaBusy === "true") return;
    body.ariaBusy = "true";
    const known = runOf({ inference_id: row.runId, workflow_id: row.workflowId, status: row.status });
    try {
      const found = known && runOf(await page.server.call(...lookAt(known, 0)));
      if (found && !stop.signal.aborted) page.open(() => runView(page, { run: found, prompt: row.prompt }));
    } catch (error) {
      say(inWords(error));
    } finally {
      body.ariaBusy = "false";
    }
  }

  async function look(): Promise<boolean> {
    const running = rows.filter(isRunning);
    if (running.length === 0) return true;
    const found = runsOf(await page.server.call("list_runs", lookAtRunning(running)));
    if (stop.signal.aborted) return true;
    trouble.hidden = true;
    for (const row of found?.rows ?? []) take(row);
    answer = { ...answer, running: rows.filter(isRunning).length };
    drawHead();
    return answer.running === 0;
  }

  /** Queued runs have no ID yet, so the list itself is read again for them. */
  function lookAtRunning(running: Row[]): Facts {
    const wait = { wait_for: "any", wait_seconds: WAIT_SECONDS };
    const ids = running.map((row) => row.runId).filter((id) => id !== undefined);
    if (ids.length < running.length) return { ...asked, ...wait, status: undefined, cursor: undefined };
    const first = ids.slice(0, MOST_FOLLOWED);
    return { inference_ids: first, limit: first.length, ...wait };
  }

  function take(row: Row): void {
    const place = rows.findIndex((other) => isSame(other, row));
    const before = rows[place];
    if (!before || (before.status === row.status && before.runId === row.runId)) return;
    rows[place] = row;
    if (row.actualPrice !== undefined) answer = { ...answer, spent: answer.spent + row.actualPrice };
    if (before.runId === row.runId) {
      cards[place]?.draw(row);
    } else if (cards[place]) {
      const card = runCard(row);
      cards[place].element.replaceWith(card.element);
      cards[place] = card;
    }
    page.announce(`${row.prompt ?? "A run"}: ${meaning(row.status).words}.`);
  }

  function failed(error: unknown, last: boolean): void {
    const again = h("button", { type: "button", class: "link", onclick: watch }, "Check again");
    say(`The runs couldn't be checked. ${inWords(error)} `, last && again);
  }

  function watch(): void {
    trouble.hidden = true;
    void follow({ look, failed, stop: stop.signal });
  }

  drawHead();
  addMore();
  if (rows.some(isRunning)) watch();
  return { element, dispose: () => stop.abort() };
}

/** Whether a filter is set; some agents send null as text. */
function isGiven(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return ![undefined, null, "", "null"].includes(value as string);
}

function isRunning(row: Row): boolean {
  return meaning(row.status).phase === "running";
}

/** Whether two rows show the same run, which may have received its ID in the meantime. */
function isSame(before: Row, now: Row): boolean {
  if (before.runId !== undefined) return before.runId === now.runId;
  return before.askedAt === now.askedAt && before.prompt === now.prompt;
}

/** Load the pictures of visible runs, a few at a time. */
function thumbnailLoader(page: Page, stop: AbortSignal): { want: (place: Element, runId: string) => void } {
  const waiting: (() => Promise<void>)[] = [];
  let under = 0;

  function next(): void {
    const task = under < THUMBNAILS_AT_ONCE && !stop.aborted ? waiting.shift() : undefined;
    if (!task) return;
    under += 1;
    void task().catch(() => undefined).finally(() => {
      under -= 1;
      next();
    });
  }

  async function load(place: Element, runId: string): Promise<void> {
    const { outputs } = runRecord(await page.server.read(`layer://runs/${encodeURIComponent(runId)}`));
    const first = outputs[0];
    if (!first || stop.aborted) return;
    const kind = kindOf(first);
    const url = address(first.previewUrl) ?? (kind === "picture" ? address(first.url) : undefined);
    const drawing = icon(({ picture: "picture", video: "film", sound: "sound", mesh: "cube", other: "picture" } as const)[kind]);
    fill(place, url !== undefined ? h("img", { src: url, alt: "", loading: "lazy", onerror: () => fill(place, drawing) }) : drawing);
    const badge = [
      url !== undefined && kind !== "picture" && drawing.cloneNode(true),
      outputs.length > 1 && String(outputs.length),
    ];
    if (badge.some(Boolean)) place.append(h("span", { class: "count" }, ...badge));
  }

  const sight = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      const runId = (target as HTMLElement).dataset.run;
      if (!isIntersecting || !runId) continue;
      sight.unobserve(target);
      waiting.push(() => load(target, runId));
      next();
    }
  });
  stop.addEventListener("abort", () => sight.disconnect());
  return {
    want: (place, runId) => {
      (place as HTMLElement).dataset.run = runId;
      sight.observe(place);
    },
  };
}
