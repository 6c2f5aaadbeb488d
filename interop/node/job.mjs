/**
 * The job of interop/job.py, for the programs in JavaScript: the same steps, the same report.
 *
 * A connection has `name`, `version`, `protocol` and `confirmation`, and `tools()`,
 * `call(tool, arguments, signal)`, and, where its client offers them, `progress`, `resource`,
 * `prompts` and `prompt`. `agrees` and `questions` belong to the person who is asked.
 */

import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const MAX_REASON = 400;
const MAX_POLLS = 20;
const BEFORE_CANCEL_MS = 500;
const ONE_STEP_MS = 100_000;
const PNG = [0x89, 0x50, 0x4e, 0x47];
const UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";

/** The client has no such thing. */
export class NotOffered extends Error {}

/** What every connection starts with. */
export class Connection {
  confirmation = "in chat";
  agrees = true;
  questions = [];
  givesUp = true;

  /** What the person says to a question. */
  answer(question) {
    this.questions.push(question);
    return this.agrees;
  }

  async progress() {
    throw new NotOffered();
  }

  async resource() {
    throw new NotOffered();
  }

  async prompts() {
    throw new NotOffered();
  }
}

/** The job in the file that the program's argument names. */
export async function readJob() {
  return JSON.parse(await readFile(process.argv[2], "utf-8"));
}

/** The version in a package's own package.json. */
export async function versionOf(folder) {
  return JSON.parse(await readFile(new URL("package.json", folder), "utf-8")).version;
}

/** Do every step in its order, then the client's own checks, and print what the frame reads. */
export async function report(job, connection, checks = {}) {
  const steps = {};
  const found = { modelId: "", inferenceId: "" };
  for (const [name, step] of Object.entries({ ...STEPS, ...checks })) {
    steps[name] = await outcome(() => step(job, connection, found));
  }
  const { name: client, version, protocol, confirmation } = connection;
  const transport = job.transport;
  console.log(JSON.stringify({ client, version, protocol, transport, confirmation, steps }));
}

async function outcome(step) {
  const timer = new AbortController();
  const late = sleep(ONE_STEP_MS, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`took over ${ONE_STEP_MS / 1000} s`);
  });
  late.catch(() => {});
  try {
    await Promise.race([step(), late]);
    return "worked";
  } catch (error) {
    if (error instanceof NotOffered) return "not offered";
    return `failed: ${String(error).replace(/\s+/g, " ").slice(0, MAX_REASON)}`;
  } finally {
    timer.abort();
  }
}

const STEPS = {
  async list_tools(job, connection) {
    const tools = await connection.tools();
    for (const name of ["execute_inference", "get_status", "save_outputs"]) {
      check(name in tools, `${name} is not in ${Object.keys(tools)}`);
    }
    const nested = tools.execute_inference.properties.guidance_files;
    const inner = JSON.stringify(nested);
    check(inner.includes("file_id"), `guidance_files has lost its inner arguments: ${inner}`);
  },

  async find_model(job, connection, found) {
    const said = await worked(connection, "list_models", { search: job.search });
    found.modelId = first(`(${UUID})`, said.text);
  },

  async price(job, connection, found) {
    const said = await worked(connection, "estimate_price", request(job, found, "generate"));
    first("(0\\.03)", said.text);
  },

  async generate(job, connection, found) {
    const paid = { ...request(job, found, "generate"), wait_seconds: 1 };
    found.inferenceId = runOf(await worked(connection, "execute_inference", paid));
  },

  async progress(job, connection, found) {
    const waiting = { inference_id: found.inferenceId, wait_seconds: 20 };
    const told = await connection.progress("get_status", waiting);
    const ordered = told.every((value, index) => index === 0 || told[index - 1] <= value);
    check(told.length > 0 && ordered, `progress was ${told}`);
  },

  async wait(job, connection, found) {
    let said = await status(connection, found, 5);
    for (let poll = 0; poll < MAX_POLLS && said.text.includes("in_progress"); poll += 1) {
      said = await status(connection, found, 5);
    }
    first("\\b(complete)\\b", said.text);
  },

  async save(job, connection, found) {
    const said = await worked(connection, "save_outputs", { inference_id: found.inferenceId });
    const path = first('(/[^\\s"]+\\.png)', said.text);
    const bytes = await readFile(path);
    check(PNG.every((byte, index) => bytes[index] === byte), `${path} is no PNG`);
  },

  async list_runs(job, connection, found) {
    const said = await worked(connection, "list_runs", {});
    check(said.text.includes(found.inferenceId), said.text);
  },

  async nested_arguments(job, connection, found) {
    const uploaded = await worked(connection, "upload_file", { path: job.picture });
    const fileId = first(`(${UUID})`, uploaded.text);
    const guidance_files = [{ file_id: fileId, type: "reference_image", weight: 0.5 }];
    const paid = { ...request(job, found, "nested_arguments"), guidance_files };
    runOf(await worked(connection, "execute_inference", paid));
  },

  async failing_call(job, connection) {
    const said = await connection.call("execute_inference", job.unknown);
    check(said.isError, `not an error: ${said.text}`);
    check(said.text.includes(job.refusal), said.text);
  },

  async confirmation_no(job, connection, found) {
    const paid = request(job, found, "confirmation_no");
    if (connection.confirmation === "in chat") {
      await toldToAsk(connection, paid);
      return;
    }
    const said = await asked(connection, paid, false);
    check(said.isError && said.text.includes("DECLINED"), said.text);
  },

  async confirmation_yes(job, connection, found) {
    const paid = request(job, found, "confirmation_yes");
    if (connection.confirmation === "in chat") {
      const max_price_creative_units = await toldToAsk(connection, paid);
      runOf(await worked(connection, "execute_inference", { ...paid, max_price_creative_units }));
      return;
    }
    const said = await asked(connection, paid, true);
    check(!said.isError, said.text);
    runOf(said);
  },

  async resources(job, connection, found) {
    const text = await connection.resource("layer://runs");
    check(text.includes(found.inferenceId), text.slice(0, MAX_REASON));
  },

  async prompts(job, connection) {
    const prompts = Object.entries(await connection.prompts());
    check(prompts.length > 0, "there are no prompts");
    for (const [name, names] of prompts) {
      const filled = Object.fromEntries(names.map((argument) => [argument, "a red potion"]));
      check((await connection.prompt(name, filled)).length > 0, `${name} is empty`);
    }
  },

  /** A wait that is given up ends neither the connection nor the run. */
  async cancel(job, connection, found) {
    if (!connection.givesUp) throw new NotOffered();
    const started = await worked(connection, "execute_inference", request(job, found, "cancel"));
    const run = { inference_id: runOf(started) };
    const giveUp = new AbortController();
    const waiting = connection
      .call("get_status", { ...run, wait_seconds: 30 }, giveUp.signal)
      .then(() => "over", () => "given up");
    const early = await Promise.race([waiting, sleep(BEFORE_CANCEL_MS, "waits")]);
    check(early === "waits", `the wait was ${early} before it was given up`);
    giveUp.abort();
    check((await waiting) === "given up", "the wait went on");
    const said = await worked(connection, "get_status", { ...run, wait_seconds: 0 });
    check(said.text.includes("in_progress"), said.text);
  },
};

function request(job, found, step) {
  return { model_id: found.modelId, ...job.requests[step] };
}

async function worked(connection, tool, values) {
  const said = await connection.call(tool, values);
  check(!said.isError, said.text);
  return said;
}

async function status(connection, found, seconds) {
  const values = { inference_id: found.inferenceId, wait_seconds: seconds };
  const said = await worked(connection, "get_status", values);
  check(runOf(said) === found.inferenceId, said.text);
  return said;
}

async function asked(connection, paid, agrees) {
  connection.agrees = agrees;
  connection.questions.length = 0;
  const said = await connection.call("execute_inference", paid);
  check(connection.questions.length === 1, `asked ${connection.questions}`);
  return said;
}

async function toldToAsk(connection, paid) {
  const said = await connection.call("execute_inference", paid);
  check(said.isError && said.text.includes("CONFIRMATION_REQUIRED"), said.text);
  return Number(first("max_price_creative_units ([\\d.]*\\d)", said.text));
}

function runOf(said) {
  return first(`(?:Run |"?inference_id"?: ?"?)(${UUID})`, said.text);
}

function first(pattern, text) {
  const match = new RegExp(pattern).exec(text);
  check(match !== null, `${pattern} is not in: ${text}`);
  return match[1];
}

/** Fail a step, unless something holds. */
export function check(holds, otherwise) {
  if (!holds) throw new Error(otherwise);
}
