/** The requested and actual parameters, as a collapsible list. */

import { h } from "./dom";
import { type Facts, list, number, record, type Run, type RunRecord, text, texts } from "./facts";
import { label } from "./format";
import type { Model } from "./model";
import type { Page } from "./page";

interface Known {
  run: Run;
  known?: RunRecord;
  model?: Model;
}

const MOST_LENGTH = 4_000;
const NOT_SHOWN = new Set(["model_id", "prompt", "workspace_id"]);
const RANDOM_SEED = -1;
const WORKSPACES = "layer://workspaces";

export function parameters(page: Page, { run, known, model }: Known, isOpen: boolean): HTMLElement {
  const rows: [string, string][] = [];
  const prompt = known?.prompt;
  if (prompt) rows.push(["Prompt", prompt]);
  const modelId = known?.modelId;
  if (modelId) rows.push(["Model", model?.name ?? modelId]);
  rows.push(...askedRows(known?.asked ?? {}, known?.normalized ?? {}));
  rows.push(...run.changed.map((change): [string, string] => ["Changed by the model", change]));
  const [last, runId] = row("Run ID", run.runId);
  const items = h("dl", {}, ...rows.flatMap(([name, value]) => row(name, value)), last, runId);
  let asked = false;

  async function nameWorkspace(): Promise<void> {
    const workspaceId = run.workspaceId ?? known?.workspaceId;
    if (asked || !workspaceId) return;
    asked = true;
    const name = await workspaceName(page, workspaceId).catch(() => undefined);
    last?.before(...row("Workspace", name ?? workspaceId));
  }

  return h(
    "details",
    { class: "parameters", open: isOpen, ontoggle: () => void nameWorkspace() },
    h("summary", {}, "Parameters"),
    items,
  );
}

function row(name: string, value: string): HTMLElement[] {
  return [h("dt", {}, name), h("dd", {}, value.slice(0, MOST_LENGTH))];
}

async function workspaceName(page: Page, workspaceId: string): Promise<string | undefined> {
  const { workspaces } = record(await page.server.read(WORKSPACES)) ?? {};
  const found = list(workspaces).map(record).find((one) => one?.workspace_id === workspaceId);
  return text(found?.name) ?? text(found?.slug);
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
    return value.length === texts(value).length ? value.join(", ") : value.map(shown).join("\n");
  }
  const facts = record(value);
  return facts ? described(facts) : String(value);
}

/** Describe a reference or a mask by its purpose; a file ID means nothing to a person. */
function described({ file_id: fileId, type, weight, ...others }: Facts): string {
  const parts = [
    text(type) && label(String(type)),
    fileId !== undefined && type === undefined && "A file",
    number(weight) !== undefined && `weight ${String(weight)}`,
    Object.keys(others).length > 0 && JSON.stringify(others, undefined, 1),
  ];
  return parts.filter(Boolean).join(", ");
}
