/** Save a run's files, and show where they are. */

import { button, fill, h } from "./dom";
import { type Run, text, texts } from "./facts";
import { counted, fileName } from "./format";
import type { Page } from "./page";
import { inWords } from "./server";
import { meaning } from "./status";

interface Saving {
  /** The button, or the number of saved files. */
  button: HTMLElement;
  /** What went wrong. */
  trouble: HTMLElement;
  /** Where the files are. */
  places: HTMLElement;
  draw: () => void;
}

export function saving(page: Page, current: () => Run): Saving {
  const start = button("Save files", { icon: "save", class: "button strong", onclick: () => void save() });
  const words = start.querySelector("span") as HTMLSpanElement;
  const done = h("p", { class: "ok", hidden: true });
  const place = h("div", { class: "saving" }, start, done);
  const trouble = h("div", { class: "saving-trouble" });
  const places = h("div", { class: "saved" });
  let paths: string[] | undefined;
  let busy = false;

  async function save(): Promise<void> {
    if (start.disabled) return;
    busy = true;
    start.disabled = true;
    words.textContent = "Saving…";
    fill(trouble);
    const { runId, workflowId, workspaceId } = current();
    try {
      const given = { inference_id: runId, workflow_id: workflowId, workspace_id: workspaceId };
      const facts = await page.server.call("save_outputs", given);
      const warning = text(facts.warning);
      paths = texts(facts.paths);
      tell(paths);
      if (warning !== undefined) fill(trouble, h("p", { class: "notice" }, warning));
      page.announce(`${counted(paths.length, "file")} saved.`);
      page.tell(`The user saved the files of run ${runId} in the gallery: ${paths.join(", ")}`);
      start.hidden = !warning;
    } catch (error) {
      fill(trouble, h("p", { class: "notice bad", role: "alert" }, inWords(error)));
    }
    busy = false;
    start.disabled = false;
    words.textContent = "Save files";
  }

  function tell(saved: string[]): void {
    const rows = saved.map((path) => h("li", { title: path }, fileName(path)));
    const folder = saved[0]?.slice(0, -fileName(saved[0]).length - 1);
    done.hidden = false;
    done.textContent = `${counted(saved.length, "file")} saved`;
    fill(places, folder !== undefined && h("p", { class: "path" }, folder), h("ul", {}, ...rows));
  }

  function draw(): void {
    const { outputs, status } = current();
    // Its space is reserved from the start, so that nothing moves when the files arrive.
    const running = meaning(status).phase === "running";
    place.hidden = outputs.length === 0 && !running;
    start.disabled = busy || outputs.length === 0;
    if (paths) return;
    const present = outputs.map((output) => output.path).filter((path) => path !== undefined);
    start.hidden = outputs.length > 0 && present.length === outputs.length;
    if (start.hidden) tell(present);
  }

  return { button: place, trouble, places, draw };
}
