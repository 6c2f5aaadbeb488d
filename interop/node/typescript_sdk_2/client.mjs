/** The official TypeScript client, in both eras of the protocol. */

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

import { Connection, readJob, report, versionOf } from "../job.mjs";

const PACKAGE = new URL("../node_modules/@modelcontextprotocol/client/", import.meta.url);
const MODES = { modern: { pin: "2026-07-28" }, legacy: "legacy" };

class TypeScriptSdk extends Connection {
  name = "@modelcontextprotocol/client (TypeScript)";

  constructor(job) {
    super();
    // Over HTTP the server keeps no session of an older client in which it could ask.
    if (!(job.transport === "http" && job.era === "legacy")) this.confirmation = "form";
    this.client = new Client(
      { name: "interop", version: "1" },
      { capabilities: { elicitation: {} }, versionNegotiation: { mode: MODES[job.era] } },
    );
    this.client.setRequestHandler("elicitation/create", async ({ params }) =>
      this.answer(params.message)
        ? { action: "accept", content: { approve: true } }
        : { action: "decline" },
    );
  }

  async connect(job) {
    const [command, ...args] = job.command;
    const transport =
      job.transport === "stdio"
        ? new StdioClientTransport({ command, args, env: job.environment })
        : new StreamableHTTPClientTransport(new URL(job.url));
    await this.client.connect(transport);
    this.version = await versionOf(PACKAGE);
    this.protocol = this.client.getNegotiatedProtocolVersion();
  }

  async tools() {
    const { tools } = await this.client.listTools();
    return Object.fromEntries(tools.map((tool) => [tool.name, tool.inputSchema]));
  }

  async call(tool, values, signal) {
    return said(await this.client.callTool({ name: tool, arguments: values }, { signal }));
  }

  async progress(tool, values) {
    const told = [];
    const onprogress = ({ progress }) => told.push(progress);
    await this.client.callTool({ name: tool, arguments: values }, { onprogress });
    return told;
  }

  async resource(uri) {
    return (await this.client.readResource({ uri })).contents[0].text;
  }

  async prompts() {
    const { prompts } = await this.client.listPrompts();
    return Object.fromEntries(prompts.map((p) => [p.name, (p.arguments ?? []).map((a) => a.name)]));
  }

  async prompt(name, values) {
    return (await this.client.getPrompt({ name, arguments: values })).messages[0].content.text;
  }
}

function said(result) {
  const texts = result.content.filter((block) => block.type === "text").map((block) => block.text);
  return { text: texts.join("\n"), isError: result.isError === true };
}

const job = await readJob();
const connection = new TypeScriptSdk(job);
await connection.connect(job);
await report(job, connection);
await connection.client.close();
