/** What was asked for and what ran, as a list that opens. */

import { h } from "./dom";
import { type Facts, type Run, type RunRecord, texts } from "./facts";
import { label } from "./format";
import type { Model } from "./model";

const MOST_LENGTH = 4_000;
const NOT_SHOWN = new Set(["model_id", "prompt"]);
const RANDOM_SEED = -1;

export function parameters(run: Run, known: RunRecord | undefined, model: Model | undefined): HTMLElement {
  const rows: [string, string][] = [];
  const prompt = known?.prompt;
  if (prompt) rows.push(["Prompt", prompt]);
  const modelId = known?.modelId;
  if (modelId) rows.push(["Model", model?.name ? `${model.name}\n${modelId}` : modelId]);
  rows.push(...askedRows(known?.asked ?? {}, known?.normalized ?? {}));
  rows.push(...run.changed.map((change): [string, string] => ["Changed by the model", change]));
  rows.push(["Run", run.runId]);
  return h(
    "details",
    { class: "parameters" },
    h("summary", {}, "Parameters"),
    h("dl", {}, ...rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value.slice(0, MOST_LENGTH))])),
  );
}

function askedRows(asked: Facts, normalized: Facts): [string, string][] {
  const names = new Set([...Object.keys(asked), ...Object.keys(normalized)]);
  return [...names]
    .filter((name) => !NOT_SHOWN.has(name))
    .map((name): [string, string] => {
      const ran = normalized[name];
      const wanted = name === "seed" && asked[name] === RANDOM_SEED ? "random" : shown(asked[name]);
      const changed = wanted && ran !== undefined && ran !== null && shown(ran) !== wanted;
      return [label(name), changed ? `${shown(ran)} (asked ${wanted})` : wanted || shown(ran)];
    })
    .filter(([, value]) => value !== "");
}

function shown(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (Array.isArray(value)) {
    return value.length === texts(value).length ? value.join(", ") : JSON.stringify(value, undefined, 1);
  }
  return typeof value === "object" ? JSON.stringify(value, undefined, 1) : String(value);
}
