/** The server's answers, parsed defensively: anything can be missing or have another type. */

export type Facts = Record<string, unknown>;

export interface OutputFile {
  fileId?: string;
  path?: string;
  url?: string;
  previewUrl?: string;
  contentType?: string;
  width?: number;
  height?: number;
  durationSeconds?: number;
  sizeBytes?: number;
  /** Measured on the saved bytes, with the server's names. */
  facts: Facts;
  /** What to check before you use the file. */
  remarks: string[];
}

export interface Failure {
  code: string;
  message: string;
}

/** The state of one run, of a model or of a workflow. */
export interface Run {
  runId: string;
  workflowId?: string;
  workspaceId?: string;
  status: string;
  error?: Failure;
  outputs: OutputFile[];
  moreOutputs: number;
  estimatedPrice?: number;
  actualPrice?: number;
  changed: string[];
  warning?: string;
  duplicate: boolean;
  simulated: boolean;
}

/** What the journal records about a run in addition to its state. */
export interface RunRecord {
  prompt?: string;
  modelId?: string;
  workflowId?: string;
  workspaceId?: string;
  askedAt?: string;
  status?: string;
  asked?: Facts;
  normalized?: Facts;
  outputs: OutputFile[];
}

/** One run of a list. */
export interface Row {
  runId?: string;
  workflowId?: string;
  status: string;
  prompt?: string;
  modelId?: string;
  askedAt?: string;
  estimatedPrice?: number;
  actualPrice?: number;
  error?: string;
  files: number;
}

export interface Runs {
  rows: Row[];
  total: number;
  running: number;
  spent: number;
  nextCursor?: string;
  warning?: string;
  simulated: boolean;
}

export interface Price {
  price: number;
  balance?: number;
  remaining?: number;
  sufficient: boolean;
  warning?: string;
  simulated: boolean;
}

export function record(value: unknown): Facts | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Facts)
    : undefined;
}

export function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

export function number(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

export function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

export function texts(value: unknown): string[] {
  return list(value).filter((item): item is string => typeof item === "string");
}

export function outputFile(value: unknown): OutputFile {
  const facts = record(value) ?? {};
  const measured = record(facts.facts) ?? {};
  return {
    fileId: text(facts.file_id),
    path: text(facts.path),
    url: text(facts.url),
    previewUrl: text(facts.preview_url),
    contentType: text(facts.content_type)?.toLowerCase(),
    width: number(measured.width) ?? number(facts.width),
    height: number(measured.height) ?? number(facts.height),
    durationSeconds: number(measured.duration_seconds) ?? number(facts.duration_seconds),
    sizeBytes: number(facts.file_size_bytes),
    facts: measured,
    remarks: texts(facts.remarks),
  };
}

export function failure(value: unknown): Failure | undefined {
  const facts = record(value);
  return (
    facts && {
      code: text(facts.code) ?? "FAILED",
      message: text(facts.message) ?? "No reason was given.",
    }
  );
}

/** The run in an answer, if there is one. */
export function run(facts: Facts): Run | undefined {
  const runId = text(facts.inference_id) ?? text(facts.run_id);
  const status = text(facts.status);
  if (!runId || !status) return undefined;
  return {
    runId,
    status,
    workflowId: text(facts.workflow_id),
    workspaceId: text(facts.workspace_id),
    error: failure(facts.error),
    outputs: list(facts.outputs).map(outputFile),
    moreOutputs: number(facts.more_outputs) ?? 0,
    estimatedPrice: number(facts.estimated_price_creative_units),
    actualPrice: number(facts.actual_price_creative_units),
    changed: texts(facts.changed_parameters),
    warning: text(facts.warning),
    duplicate: facts.duplicate === true,
    simulated: facts.simulated === true,
  };
}

export function runRecord(value: unknown): RunRecord {
  const row = record(value) ?? {};
  const facts = record(row.facts) ?? {};
  return {
    prompt: text(facts.prompt) ?? text(row.prompt),
    modelId: text(row.model_id),
    workflowId: text(row.workflow_id),
    workspaceId: text(facts.workspace_id),
    askedAt: text(row.asked_at),
    status: text(row.status),
    asked: record(facts.asked),
    normalized: record(facts.normalized),
    outputs: list(row.outputs).map(outputFile),
  };
}

function row(value: unknown): Row {
  const facts = record(value) ?? {};
  return {
    runId: text(facts.inference_id) ?? text(facts.run_id),
    workflowId: text(facts.workflow_id),
    status: text(facts.status) ?? "unknown",
    prompt: text(facts.prompt),
    modelId: text(facts.model_id),
    askedAt: text(facts.asked_at),
    estimatedPrice: number(facts.estimated_price_creative_units),
    actualPrice: number(facts.actual_price_creative_units),
    error: text(facts.error),
    files: list(facts.files).length + (number(facts.more_files) ?? 0),
  };
}

/** The list of runs in an answer, if it is one. */
export function runs(facts: Facts): Runs | undefined {
  if (!Array.isArray(facts.runs)) return undefined;
  const rows = facts.runs.map(row);
  return {
    rows,
    total: number(facts.total) ?? rows.length,
    running: number(facts.running) ?? 0,
    spent: number(facts.spent_creative_units) ?? 0,
    nextCursor: text(facts.next_cursor),
    warning: text(facts.warning),
    simulated: facts.simulated === true,
  };
}

export function price(facts: Facts): Price | undefined {
  const amount = number(facts.estimated_price_creative_units);
  if (amount === undefined) return undefined;
  return {
    price: amount,
    balance: number(facts.workspace_balance_creative_units),
    remaining: number(facts.estimated_remaining_balance_creative_units),
    sufficient: facts.has_sufficient_creative_units !== false,
    warning: text(facts.warning),
    simulated: facts.simulated === true,
  };
}
