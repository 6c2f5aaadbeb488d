/** Ask what to make from a file: the model, the reference type, and the prompt. */

import { button, fill, h } from "./dom";
import { type Facts, list, type OutputFile, record, type RunRecord, text } from "./facts";
import { label } from "./format";
import { type Model, modelOf } from "./model";
import type { Page } from "./page";
import { inWords } from "./server";

interface Source {
  known?: RunRecord;
  model?: Model;
  workspaceId?: string;
}

interface Asked {
  file: OutputFile;
  number: number;
  /** The record of the run that made the file. */
  source: () => Promise<Source>;
  priced: (given: Facts) => void;
  closed: () => void;
}

const USUAL_TYPE = "reference_image";
const NO_MODEL = "No model in this workspace takes a reference. Ask in the chat which models are available.";
const OWN_TO_THE_RUN = ["seed", "mask", "guidance_files", "prompt"];

/** A form that returns the arguments of a new run. */
export function referenceForm(page: Page, asked: Asked): HTMLElement {
  const models = h("select", { id: "reference-model", onchange: () => void showTypes() });
  const types = h("select", { id: "reference-type" });
  const prompt = h("textarea", { id: "reference-prompt", rows: 3, maxlength: 10_000 });
  const count = h("input", { id: "reference-count", type: "number", min: 1, max: 8, value: 1, required: true });
  const price = button("See the price", { class: "button strong", onclick: finish });
  const reason = h("p", { class: "notice", role: "alert", hidden: true });
  let source: Source = {};

  async function showModels(): Promise<void> {
    source = await asked.source();
    const own = source.known?.modelId;
    let why = NO_MODEL;
    const found = await page.server
      .call("list_models", { supports_reference_images: true, limit: 50, workspace_id: source.workspaceId })
      .catch((error: unknown): Facts => {
        why = `The models can't be listed. ${inWords(error)}`;
        return {};
      });
    const named = new Map<string, string>();
    if (own && takesReferences(source.model)) named.set(own, source.model?.name ?? "The same model");
    for (const row of list(found.models)) {
      const facts = record(row) ?? {};
      const modelId = text(facts.model_id);
      if (modelId) named.set(modelId, text(facts.name) ?? "Unnamed model");
    }
    fill(models, ...[...named].map(([modelId, name]) => h("option", { value: modelId }, name)));
    if (named.size === 0) return refuse(why);
    await showTypes();
  }

  function refuse(why: string): void {
    reason.textContent = why;
    reason.hidden = false;
    price.hidden = true;
  }

  async function showTypes(): Promise<void> {
    const chosen = models.value;
    // Until they are loaded, those of another model are shown.
    price.disabled = true;
    const model = chosen ? await modelOf(page.server, chosen, source.workspaceId) : undefined;
    if (chosen !== models.value) return;
    const known = model?.guidanceTypes ?? [USUAL_TYPE];
    const first = known.includes(USUAL_TYPE) ? [USUAL_TYPE] : [];
    const sorted = [...new Set([...first, ...known])];
    fill(types, ...sorted.map((type) => h("option", { value: type }, label(type))));
    price.disabled = !chosen;
  }

  function given(): Facts {
    const modelId = models.value;
    const kept = modelId === source.known?.modelId ? { ...source.known?.asked } : {};
    for (const name of OWN_TO_THE_RUN) delete (kept as Facts)[name];
    return {
      ...kept,
      model_id: modelId,
      prompt: prompt.value.trim(),
      batch_size: count.valueAsNumber,
      guidance_files: [{ file_id: asked.file.fileId, type: types.value }],
      workspace_id: source.workspaceId,
    };
  }

  // Hosts may block form submission in frames, so this is a plain button.
  function finish(): void {
    prompt.setCustomValidity(prompt.value.trim() ? "" : "Describe what to make.");
    if (form.reportValidity() && models.value && types.value) asked.priced(given());
  }

  const form = h(
    "form",
    {
      class: "panel",
      "aria-label": `Use file ${asked.number} as a reference`,
    },
    h("h2", {}, `Use file ${asked.number} as a reference`),
    field("Prompt", prompt),
    field("Model", models),
    h("div", { class: "pair" }, field("Use it as", types), field("How many", count)),
    reason,
    h(
      "div",
      { class: "buttons" },
      price,
      button("Cancel", { class: "button quiet", onclick: asked.closed }),
    ),
  );
  price.disabled = true;
  void showModels();
  return form;
}

function takesReferences(model: Model | undefined): boolean {
  return model !== undefined && !model.ignores.includes("guidance_files");
}

function field(words: string, input: HTMLElement): HTMLElement {
  return h("div", { class: "field" }, h("label", { for: input.id }, words), input);
}
