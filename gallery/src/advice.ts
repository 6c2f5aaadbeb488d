/** What a person can do about a problem; the server's own next steps are for agents. */

const LATER = "Try again in a minute.";
const TOKEN = "Store a token with layer-mcp login, then restart the server.";
const OTHER_INPUTS = "Change the prompt or the references. The same inputs will be rejected again.";

const STEPS: Record<string, string> = {
  CONFIRMATION_REQUIRED: "Answer in the chat.",
  CONTENT_POLICY_VIOLATION: OTHER_INPUTS,
  DECLINED: "",
  FORBIDDEN: TOKEN,
  GENERATIONS_AT_LIMIT: LATER,
  HOST_REFUSED: "Ask in the chat instead.",
  INPUT_GUARDRAIL_VIOLATION: OTHER_INPUTS,
  INSUFFICIENT_BALANCE: "Add Creative Units at app.layer.ai.",
  INVALID_ARGUMENTS: "Your agent can correct the request and try again.",
  MISSING_TOKEN: TOKEN,
  NO_MEDIA_GENERATED: "Change the prompt or the model. The same inputs will fail again.",
  NOT_ANSWERED: "Tell your agent when you want to start it.",
  OUTCOME_UNKNOWN: "Look in Layer (app.layer.ai) before you start it again: the run may exist and be charged.",
  PRICE_ABOVE_MAX: "Answer in the chat.",
  PRICE_ABOVE_LIMIT: "You can raise the limit in the server's settings.",
  PRICE_UNKNOWN: LATER,
  PROMPT_INTELLECTUAL_PROPERTY: "Remove protected names from the prompt.",
  RATE_LIMITED: LATER,
  RUNS_AT_LIMIT: "Wait for a run to finish, then try again.",
  RUN_FAILED: "Change the prompt or the model, then try again.",
  SERVICE_UNAVAILABLE: LATER,
  SPENDING_LIMIT_REACHED: "You can raise the limit in the server's settings.",
  SUBMISSION_UNDER_WAY: "It is being started right now.",
  TIMEOUT: LATER,
  UNAUTHENTICATED: TOKEN,
  USAGE_LIMIT_EXCEEDED: "Ask the workspace's owner to raise the usage limit.",
};

/** Codes of calls that are rejected before anything is sent, so nothing is charged. */
const NOT_SENT = new Set([
  "CONFIRMATION_REQUIRED",
  "DECLINED",
  "GENERATIONS_AT_LIMIT",
  "INSUFFICIENT_BALANCE",
  "INVALID_ARGUMENTS",
  "MISSING_TOKEN",
  "NOT_ANSWERED",
  "PRICE_ABOVE_LIMIT",
  "PRICE_ABOVE_MAX",
  "PRICE_UNKNOWN",
  "RUNS_AT_LIMIT",
  "SPENDING_LIMIT_REACHED",
]);

/** What a person can do about an error code, if there is anything. */
export function adviceFor(code: string): string | undefined {
  return Object.hasOwn(STEPS, code) ? STEPS[code] || undefined : undefined;
}

/** What a person can do about a run that failed. */
export function adviceForRun(code: string): string | undefined {
  return adviceFor(code) ?? STEPS.RUN_FAILED;
}

/** Whether an error code means that a call was rejected before anything was sent. */
export function wasNotSent(code: string): boolean {
  return NOT_SENT.has(code);
}
