/** Vercel's AI SDK: text from a scripted model, which asks for one tool at a time. */

import { createMCPClient, ElicitationRequestSchema } from "@ai-sdk/mcp";
import { Experimental_StdioMCPTransport as StdioTransport } from "@ai-sdk/mcp/mcp-stdio";
import { generateText, stepCountIs } from "ai";
import { MockLanguageModelV4 } from "ai/test";

import { Connection, readJob, report, versionOf } from "../job.mjs";

const NAMES = ["@ai-sdk/mcp", "ai"];
const REFUSED = /^[A-Z_]+: /;
const USAGE = { inputTokens: { total: 0 }, outputTokens: { total: 0 } };
const DONE = { content: [{ type: "text", text: "done" }], finishReason: { unified: "stop" } };

// It gives a server 1 s to say what it speaks, then tries the older handshake on the same pipe.
const LATE = ["-c", 'sleep 2; exec "$@"', "sh"];

class AiSdk extends Connection {
  name = NAMES.join(", ");
  confirmation = "form";

  constructor() {
    super();
    this.model = new MockLanguageModelV4({ doGenerate: (request) => this.generate(request) });
  }

  async connect(job) {
    this.client = await createMCPClient({
      transport:
        job.transport === "stdio"
          ? new StdioTransport({
              command: "sh",
              args: [...LATE, ...job.command],
              env: job.environment,
            })
          : { type: "http", url: job.url },
      capabilities: { elicitation: {} },
    });
    this.client.onElicitationRequest(ElicitationRequestSchema, ({ params }) =>
      this.answer(params.message)
        ? { action: "accept", content: { approve: true } }
        : { action: "decline" },
    );
    const versions = NAMES.map((name) => new URL(`../node_modules/${name}/`, import.meta.url));
    this.version = (await Promise.all(versions.map(versionOf))).join(", ");
    this.protocol = this.client.initializeResult.protocolVersion;
    this.offered = await this.client.tools();
  }

  generate({ prompt, tools }) {
    this.schemas = Object.fromEntries(tools.map((tool) => [tool.name, tool.inputSchema]));
    const last = prompt.at(-1);
    if (last.role === "tool") this.read = last.content[0].output;
    const answer = last.role === "tool" || !this.next ? DONE : this.next;
    return { ...answer, usage: USAGE, warnings: [] };
  }

  async ask(next, abortSignal) {
    this.next = next;
    const { model, offered: tools } = this;
    await generateText({
      model,
      tools,
      prompt: "Do it.",
      stopWhen: stepCountIs(2),
      abortSignal,
      maxRetries: 0,
    });
  }

  async tools() {
    await this.ask(undefined);
    return this.schemas;
  }

  async call(toolName, values, signal) {
    const call = { type: "tool-call", toolCallId: "call", toolName, input: JSON.stringify(values) };
    await this.ask({ content: [call], finishReason: { unified: "tool-calls" } }, signal);
    const texts = this.read.value.filter((part) => part.type === "text").map((part) => part.text);
    const text = texts.join("\n");
    // It tells its model of an error in words only, and so does the server.
    return { text, isError: REFUSED.test(text) };
  }

  async resource(uri) {
    return (await this.client.readResource({ uri })).contents[0].text;
  }

  async prompts() {
    const { prompts } = await this.client.listPrompts();
    return Object.fromEntries(prompts.map((p) => [p.name, (p.arguments ?? []).map((a) => a.name)]));
  }

  async prompt(name, values) {
    const { messages } = await this.client.experimental_getPrompt({ name, arguments: values });
    return messages[0].content.text;
  }
}

const job = await readJob();
const connection = new AiSdk();
await connection.connect(job);
await report(job, connection);
await connection.client.close();
