/** The official TypeScript client of the last 1.x, which speaks 2025-11-25. */

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";

import { Connection, readJob, report, versionOf } from "../job.mjs";

const PACKAGE = new URL("../node_modules/@modelcontextprotocol/sdk/", import.meta.url);

class TypeScriptSdk extends Connection {
  name = "@modelcontextprotocol/sdk (TypeScript)";

  constructor(job) {
    super();
    // Over HTTP the server keeps no session of an older client in which it could ask.
    if (job.transport === "stdio") this.confirmation = "form";
    this.client = new Client(
      { name: "interop", version: "1" },
      { capabilities: { elicitation: {} } },
    );
    this.client.setRequestHandler(ElicitRequestSchema, async ({ params }) =>
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
    // Only the transport is told which version was agreed on.
    const tell = transport.setProtocolVersion?.bind(transport);
    transport.setProtocolVersion = (version) => {
      this.protocol = version;
      tell?.(version);
    };
    await this.client.connect(transport);
    this.version = await versionOf(PACKAGE);
  }

  async tools() {
    const { tools } = await this.client.listTools();
    return Object.fromEntries(tools.map((tool) => [tool.name, tool.inputSchema]));
  }

  async call(tool, values, signal) {
    const called = { name: tool, arguments: values };
    return said(await this.client.callTool(called, undefined, { signal }));
  }

  async progress(tool, values) {
    const told = [];
    const onprogress = ({ progress }) => told.push(progress);
    await this.client.callTool({ name: tool, arguments: values }, undefined, { onprogress });
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
