/** MCP Inspector's command line: a process for each request, in both eras of the protocol. */

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

import { Connection, check, readJob, report, versionOf } from "../job.mjs";

const PACKAGE = new URL("node_modules/@modelcontextprotocol/inspector/", import.meta.url);
const PROGRAM = fileURLToPath(new URL("node_modules/.bin/mcp-inspector", import.meta.url));
const EXIT_OK = 0;
const EXIT_TOOL_ERROR = 5;
// A server of its own for each request takes long to start on a busy machine.
const CONNECT_MS = "60000";
const LOAD_CALLS = 500;
const MAX_OUTPUT = 16 * 1024 * 1024;
const APP_TOOLS = ["execute_inference", "get_status", "list_runs"];

class Inspector extends Connection {
  name = "MCP Inspector (command line)";
  pictured = new Set();

  constructor(job) {
    super();
    const variables = Object.entries(job.environment).flatMap(([k, v]) => ["-e", `${k}=${v}`]);
    const overStdio = [...variables, "--", ...job.command];
    this.target = job.transport === "stdio" ? overStdio : ["--server-url", job.url];
    this.era = job.era;
    // It follows a task to its end, so there is no run to give up the wait for.
    this.givesUp = job.era === "legacy";
  }

  async connect() {
    this.version = await versionOf(PACKAGE);
    this.protocol = (await this.request(["initialize"])).result.protocolVersion;
  }

  async tools() {
    const { tools } = (await this.request(["tools/list"])).result;
    return Object.fromEntries(tools.map((tool) => [tool.name, tool.inputSchema]));
  }

  async call(tool, values, signal) {
    const called = ["tools/call", "--tool-name", tool, "--tool-args-json", JSON.stringify(values)];
    const { content, isError } = (await this.request(called, signal)).result;
    if (content.some((block) => block.type === "image")) this.pictured.add(tool);
    const texts = content.filter((block) => block.type === "text").map((block) => block.text);
    return { text: texts.join("\n"), isError: isError === true };
  }

  async resource(uri) {
    return (await this.request(["resources/read", "--uri", uri])).result.contents[0].text;
  }

  /** Only the first prompt: each that is got costs two processes. */
  async prompts() {
    const { prompts } = (await this.request(["prompts/list"])).result;
    return { [prompts[0].name]: (prompts[0].arguments ?? []).map((argument) => argument.name) };
  }

  async prompt(name, values) {
    const filled = Object.entries(values).flatMap(([k, v]) => ["--prompt-args", `${k}=${v}`]);
    const got = await this.request(["prompts/get", "--prompt-name", name, ...filled]);
    return got.result.messages[0].content.text;
  }

  /** The JSON that a method prints; an error of a tool is an answer too. */
  async request(method, signal) {
    const { code, output, complaint } = await this.run(method, signal);
    check([EXIT_OK, EXIT_TOOL_ERROR].includes(code), `exit code ${code}: ${complaint}`);
    return JSON.parse(output);
  }

  async run(method, signal) {
    const args = ["--cli", "--quiet", "--format", "json", "--protocol-era", this.era];
    const patience = ["--connect-timeout", CONNECT_MS];
    const line = [...args, ...patience, "--method", ...method, ...this.target];
    return await new Promise((resolve, reject) => {
      const options = { maxBuffer: MAX_OUTPUT, signal };
      execFile(PROGRAM, line, options, (error, output, complaint) => {
        if (error && typeof error.code !== "number") reject(error);
        else resolve({ code: error?.code ?? EXIT_OK, output, complaint });
      });
    });
  }
}

/** What the Inspector checks by itself, besides the job. */
const CHECKS = {
  /** The schemas of all tools are portable. */
  async strict(job, connection) {
    const { code, complaint } = await connection.run(["tools/list", "--strict"]);
    check(code === EXIT_OK && complaint === "", complaint);
  },

  /** The tools that have a page have one that can be read. */
  async app_info(job, connection) {
    const { output } = await connection.run(["tools/list", "--app-info", "--advertise-apps"]);
    const probed = output.trim().split("\n").map((line) => JSON.parse(line));
    const withPage = probed.filter((tool) => tool.hasApp);
    const names = withPage.map((tool) => tool.toolName).sort();
    check(APP_TOOLS.every((name) => names.includes(name)), `pages have ${names}`);
    check(withPage.every((tool) => !tool.resourceError), output);
  },

  /** Many calls at once, none of which fails. */
  async load(job, connection, found) {
    const values = JSON.stringify({ inference_id: found.inferenceId, wait_seconds: 0 });
    const called = ["tools/call", "--tool-name", "get_status", "--tool-args-json", values];
    const load = ["--load", "--load-requests", String(LOAD_CALLS)];
    const { result } = await connection.request([...called, ...load]);
    check(result.ok === LOAD_CALLS && result.errorRate === 0, JSON.stringify(result));
  },

  /** The run's picture came; on newer connections with the paid call, as the end of its task. */
  async picture(job, connection) {
    const tool = job.era === "modern" ? "execute_inference" : "get_status";
    check(connection.pictured.has(tool), `pictures came with ${[...connection.pictured]}`);
  },
};

const job = await readJob();
const connection = new Inspector(job);
await connection.connect();
await report(job, connection, CHECKS);
