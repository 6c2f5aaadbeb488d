/** Saving a run's files, and naming where they are. */

import { button, fill, h } from "./dom";
import { type Run, text, texts } from "./facts";
import { counted, fileName } from "./format";
import type { Page } from "./page";
import { inWords } from "./server";

interface Saving {
  element: HTMLElement;
  draw: () => void;
}

export function saving(page: Page, current: () => Run): Saving {
  const start = button("Save files", { icon: "save", class: "button strong", onclick: () => void save() });
  const words = start.querySelector("span") as HTMLSpanElement;
  const told = h("div", { class: "saved" });
  const element = h("div", { class: "saving" }, start, told);
  let paths: string[] | undefined;

  async function save(): Promise<void> {
    if (start.disabled) return;
    start.disabled = true;
    words.textContent = "Saving…";
    const { runId, workflowId, workspaceId } = current();
    try {
      const given = { inference_id: runId, workflow_id: workflowId, workspace_id: workspaceId };
      const facts = await page.server.call("save_outputs", given);
      const warning = text(facts.warning);
      paths = texts(facts.paths);
      tell(paths, warning);
      page.announce(`${counted(paths.length, "file")} saved.`);
      page.tell(`The user saved the files of run ${runId} in the gallery: ${paths.join(", ")}`);
      start.hidden = !warning;
      if (!start.hidden) start.disabled = false;
    } catch (error) {
      fill(told, h("p", { class: "notice bad", role: "alert" }, inWords(error)));
      start.disabled = false;
    }
    words.textContent = "Save files";
  }

  function tell(saved: string[], warning?: string): void {
    const rows = saved.map((path) => h("li", { title: path }, fileName(path)));
    const folder = saved[0]?.slice(0, -fileName(saved[0]).length - 1);
    fill(
      told,
      h("p", { class: "ok" }, `${counted(saved.length, "file")} saved`),
      folder !== undefined && h("p", { class: "path" }, folder),
      h("ul", {}, ...rows),
      warning !== undefined && h("p", { class: "notice" }, warning),
    );
  }

  function draw(): void {
    const { outputs } = current();
    const present = outputs.map((output) => output.path).filter((path) => path !== undefined);
    element.hidden = outputs.length === 0;
    if (paths) return;
    start.hidden = outputs.length > 0 && present.length === outputs.length;
    if (start.hidden) tell(present);
  }

  return { element, draw };
}
