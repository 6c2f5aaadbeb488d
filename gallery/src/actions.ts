/** What can be done with a run: save it, repeat it with another seed, use a file as reference. */

import { button, fill, h } from "./dom";
import type { Facts, OutputFile, Run, RunRecord } from "./facts";
import type { Model } from "./model";
import { order, type Wanted } from "./order";
import type { Page } from "./page";
import { referenceForm } from "./reference_form";
import { saving } from "./saving";
import { meaning } from "./status";

export interface Subject {
  run: Run;
  known?: RunRecord;
  model?: Model;
}

interface Actions {
  element: HTMLElement;
  /** Saves the files; shown next to the price. */
  save: HTMLElement;
  saveTrouble: HTMLElement;
  draw: () => void;
  useAsReference: (file: OutputFile, number: number) => void;
}

const MOST_SEED = 2 ** 31 - 1;

interface Source {
  current: () => Subject;
  /** Settles when everything that can be read about the run has been read. */
  ready: () => Promise<void>;
  /** Shows the run that was started. */
  open: (run: Run, prompt?: string) => void;
}

export function actions(page: Page, { current, ready, open }: Source): Actions {
  const panel = h("div", {});
  const reason = h("p", { class: "meta" });
  const save = saving(page, () => current().run);
  const again = button("Run again with a new seed", { icon: "again", onclick: repeat });
  const element = h("div", { class: "actions" }, save.places, again, reason, panel);
  // After an unclear answer the same call must be made again: the server recognizes it.
  let repetition: Facts | undefined;
  let paying = false;

  function close(focus: HTMLElement): void {
    fill(panel);
    draw();
    focus.focus();
  }

  function show(wanted: Omit<Wanted, "closed" | "paying" | "started">, focus: HTMLElement): void {
    const started = (run: Run): void => {
      repetition = undefined;
      fill(panel);
      draw();
      const prompt = typeof wanted.given.prompt === "string" ? wanted.given.prompt : undefined;
      open(run, prompt);
    };
    again.disabled = true;
    const toPay: Wanted = {
      ...wanted,
      paying: (out) => {
        paying = out;
      },
      started,
      closed: () => close(focus),
    };
    fill(panel, order(page, toPay));
  }

  function repeat(): void {
    const { run, known } = current();
    if (again.disabled || !known?.asked) return;
    repetition ??= { ...known.asked, workspace_id: workspaceOf(run, known), seed: newSeed() };
    show({ words: `Run again with seed ${String(repetition.seed)}`, given: repetition }, again);
  }

  function useAsReference(file: OutputFile, number: number): void {
    if (paying) {
      panel.scrollIntoView({ block: "nearest" });
      return page.announce("A run is being started. Wait for its answer.");
    }
    const opener = document.activeElement instanceof HTMLElement ? document.activeElement : again;
    const form = referenceForm(page, {
      file,
      number,
      source: async () => {
        await ready();
        const { run, known, model } = current();
        return { known, model, workspaceId: workspaceOf(run, known) };
      },
      priced: (given) => show({ words: `Use file ${number} as a reference`, given }, opener),
      closed: () => close(opener),
    });
    again.disabled = true;
    fill(panel, form);
    form.scrollIntoView({ block: "nearest" });
    form.querySelector("textarea")?.focus();
  }

  function draw(): void {
    const { run, known } = current();
    save.draw();
    // Shown from the start, so that nothing moves at the end.
    const over = meaning(run.status).phase !== "running";
    again.hidden = run.workflowId !== undefined;
    again.disabled = !over || !known?.asked || panel.childElementCount > 0;
    const elsewhere = known !== undefined && !known.asked;
    reason.hidden = again.hidden || !elsewhere;
    reason.textContent = "Only runs started from this machine can be repeated here.";
  }

  return { element, save: save.button, saveTrouble: save.trouble, draw, useAsReference };
}

function workspaceOf(run: Run, known: RunRecord | undefined): string | undefined {
  return run.workspaceId ?? known?.workspaceId;
}

function newSeed(): number {
  return Math.floor(Math.random() * MOST_SEED);
}
