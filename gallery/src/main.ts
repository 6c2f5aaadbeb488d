/** The page's start: it meets the host and shows what the host hands over. */

import {
  App,
  applyDocumentTheme,
  applyHostFonts,
  applyHostStyleVariables,
  type McpUiHostContext,
} from "@modelcontextprotocol/ext-apps";
import { button, fill, h, icon } from "./dom";
import { type Facts, record, run, runs, text } from "./facts";
import { listView } from "./list_view";
import type { Page, View } from "./page";
import { runView } from "./run_view";
import { inWords, problemOf, serverBehind } from "./server";

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

/** Show this and nothing behind it. */
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

function plain(title: string, words: string, more?: HTMLElement): View {
  const element = h("article", { class: "plain" }, h("h1", {}, title), h("p", {}, words), more);
  return { element, dispose: () => undefined };
}

function waiting(): View {
  const bars = h("div", { class: "waiting" }, h("div", { class: "places one" }, h("div", { class: "place" })));
  return plain(text(asked.prompt) ?? "Layer", "Waiting for the answer…", bars);
}

function answered(result: { structuredContent?: unknown; content?: unknown; isError?: boolean }): void {
  const facts = record(result.structuredContent) ?? {};
  if (result.isError) {
    const problem = problemOf(facts, result.content);
    const code = h("div", { class: "notice bad" }, icon("warning"), h("code", {}, problem.code));
    return start(plain("This call failed", inWords(problem), code));
  }
  const found = runs(facts);
  if (found) return start(listView(page, found, asked));
  const one = run(facts);
  if (one) return start(runView(page, { run: one, prompt: text(asked.prompt) }));
  start(plain("Nothing to show", "The answer names no run. Ask the agent for the runs of today."));
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
  start(plain("This call was cancelled", "A run that was started goes on. Ask the agent for the runs of today."));
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
