/** The server behind the host: its tools and its resources. */

import type { App } from "@modelcontextprotocol/ext-apps";
import { type Facts, failure, list, record, text } from "./facts";

const HOST_REFUSED = "HOST_REFUSED";

/** Why a call brought nothing, in words for a person. */
export class Problem extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly nextStep?: string,
  ) {
    super(message);
  }

  get byHost(): boolean {
    return this.code === HOST_REFUSED;
  }
}

export interface Server {
  /** The facts that a tool answers; a `Problem` if it or the host refuses. */
  call(tool: string, given: Facts): Promise<Facts>;
  /** What a resource of JSON holds. */
  read(uri: string): Promise<unknown>;
  /** What a resource of bytes holds. */
  bytes(uri: string): Promise<ArrayBuffer>;
}

export function serverBehind(app: App): Server {
  async function contents(uri: string): Promise<Facts> {
    const result = await app.readServerResource({ uri }).catch(refused);
    return record(result.contents[0]) ?? {};
  }

  return {
    async call(tool, all) {
      const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
      const result = await app.callServerTool({ name: tool, arguments: given }).catch(refused);
      const facts = record(result.structuredContent) ?? {};
      if (result.isError) throw problemOf(facts, result.content);
      return facts;
    },
    async read(uri) {
      return JSON.parse(text((await contents(uri)).text) ?? "null") as unknown;
    },
    async bytes(uri) {
      const blob = text((await contents(uri)).blob);
      if (!blob) throw new Problem("NO_BYTES", "The host handed over no file.");
      return Uint8Array.from(atob(blob), (char) => char.charCodeAt(0)).buffer;
    },
  };
}

/** A failed call as a problem: by its facts, else by its text. */
export function problemOf(facts: Facts, content: unknown): Problem {
  const known = failure(facts.error);
  if (known) return new Problem(known.code, known.message, text(facts.next_step));
  const words = list(content).map((block) => text(record(block)?.text) ?? "");
  return new Problem("FAILED", words.join(" ").trim().slice(0, 500) || "The call failed.");
}

/** Any error as words for a person. */
export function inWords(error: unknown): string {
  if (!(error instanceof Problem)) return "Something in this page failed.";
  return [error.message, error.nextStep].filter(Boolean).join(" ");
}

function refused(): never {
  throw new Problem(
    HOST_REFUSED,
    "This host did not let the page ask the server.",
    "Ask in the chat instead.",
  );
}
