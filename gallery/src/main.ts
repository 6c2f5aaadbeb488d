/** Entry point: connect to the host and show the results it passes on. */

import {
  App,
  applyDocumentTheme,
  applyHostFonts,
  applyHostStyleVariables,
  type McpUiHostContext,
} from "@modelcontextprotocol/ext-apps";
import { adviceFor, wasNotSent } from "./advice";
import { button, fill, h, icon } from "./dom";
import { type Facts, record, run, runs, text } from "./facts";
import { listView } from "./list_view";
import type { Page, View } from "./page";
import { paidTool, questionView } from "./question";
import { runView, startingView } from "./run_view";
import { type Problem, problemOf, serverBehind } from "./server";

const root = document.getElementById("page") as HTMLElement;
const bar = h("nav", { class: "bar-top", "aria-label": "Gallery" });
const place = h("div", { class: "view" });
const voice = h("div", { class: "unseen", role: "status", "aria-live": "polite" });
const views: View[] = [];
let asked: Facts = {};

const app = new App(
  { name: "layer-gallery", version: "1.0.0" },
  { availableDisplayModes: ["inline", "fullscreen"] },
  { autoResize: true },
);
const page: Page = {
  server: serverBehind(app),
  open,
  replace: (make) => {
    start(make());
    place.querySelector("h1")?.focus();
  },
  announce: (words) => {
    voice.textContent = words;
  },
  tell: (words) => {
    if (!app.getHostCapabilities()?.updateModelContext) return;
    void app.updateModelContext({ content: [{ type: "text", text: words }] }).catch(() => undefined);
  },
};

function open(make: () => View): void {
  views.push(make());
  draw();
  place.querySelector("h1")?.focus();
}

function back(): void {
  views.pop()?.dispose();
  draw();
}

/** Show this view and discard the others. */
function start(view: View): void {
  for (const old of views.splice(0)) old.dispose();
  views.push(view);
  draw();
}

function draw(): void {
  const view = views.at(-1);
  fill(place, view?.element);
  place.querySelector("h1")?.setAttribute("tabindex", "-1");
  const modes = app.getHostContext()?.availableDisplayModes ?? [];
  const mode = app.getHostContext()?.displayMode ?? "inline";
  const other = mode === "fullscreen" ? "inline" : "fullscreen";
  fill(
    bar,
    views.length > 1 && button("Back", { icon: "back", class: "button quiet", onclick: back }),
    modes.includes(other) &&
      button("", {
        icon: other === "inline" ? "close" : "full",
        class: "tool end",
        label: other === "inline" ? "Leave full screen" : "Full screen",
        onclick: () => void app.requestDisplayMode({ mode: other }).catch(() => undefined),
      }),
  );
}

function plain(title: string, words: string): View {
  const element = h("article", { class: "plain" }, h("h1", {}, title), h("p", {}, words));
  return { element, dispose: () => undefined };
}

function waiting(): View {
  if (paidTool(asked) || text(asked.prompt)) return startingView(asked);
  return plain("Layer", "Waiting for an answer…");
}

/** A failed call that needs no action from a person: the agent reads the same error. */
function failed(problem: Problem): View {
  const nothingSent = wasNotSent(problem.code);
  const paid = paidTool(asked) !== undefined;
  const words = [adviceFor(problem.code), paid && nothingSent && "Nothing was charged."].filter(Boolean).join(" ");
  const notice = h(
    "div",
    { class: nothingSent ? "notice" : "notice bad" },
    icon("warning"),
    h("div", {}, h("p", {}, problem.message), h("p", {}, words), h("code", {}, problem.code)),
  );
  const element = h("article", { class: "plain" }, h("h1", {}, paid && nothingSent ? "Not started" : "This call failed"), notice);
  return { element, dispose: () => undefined };
}

function answered(result: { structuredContent?: unknown; content?: unknown; isError?: boolean }): void {
  const facts = record(result.structuredContent) ?? {};
  if (result.isError) {
    const problem = problemOf(facts, result.content);
    return start(questionView(page, problem, asked) ?? failed(problem));
  }
  const found = runs(facts);
  if (found) return start(listView(page, found, asked));
  const one = run(facts);
  if (one) return start(runView(page, { run: one, prompt: text(asked.prompt), asked }));
  start(plain("Nothing to show", "The answer has no run. Ask your agent to list today's runs."));
}

function dress(context: McpUiHostContext): void {
  if (context.theme) applyDocumentTheme(context.theme);
  if (context.styles?.variables) applyHostStyleVariables(context.styles.variables);
  if (context.styles?.css?.fonts) applyHostFonts(context.styles.css.fonts);
  const inset = context.safeAreaInsets;
  if (inset) root.style.padding = `${inset.top}px ${inset.right}px ${inset.bottom}px ${inset.left}px`;
  page.locale = context.locale ?? page.locale;
  draw();
}

app.ontoolinput = ({ arguments: given }) => {
  asked = record(given) ?? {};
  if (views.length === 0) start(waiting());
};
app.ontoolresult = answered;
app.ontoolcancelled = () =>
  start(plain("This call was canceled", "A run that was already started continues. Ask your agent to list today's runs."));
app.onhostcontextchanged = dress;
app.onteardown = () => {
  for (const view of views.splice(0)) view.dispose();
  return {};
};

fill(root, bar, place, voice);
void app.connect().then(() => {
  if (app.getHostCapabilities()?.openLinks) {
    page.openLink = (url) => void app.openLink({ url }).catch(() => undefined);
  }
  dress(app.getHostContext() ?? {});
});
