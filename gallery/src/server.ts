/** The server behind the host: its tools and its resources. */

import type { App } from "@modelcontextprotocol/ext-apps";
import { adviceFor } from "./advice";
import { type Facts, failure, list, price, type Price, record, text } from "./facts";

const HOST_REFUSED = "HOST_REFUSED";

/** Why a call failed; `price` is set if the price was the reason. */
export class Problem extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly price?: Price,
  ) {
    super(message);
  }

  get byHost(): boolean {
    return this.code === HOST_REFUSED;
  }
}

export interface Server {
  /** Call a tool and return its facts; throw a `Problem` if it or the host refuses. */
  call(tool: string, given: Facts): Promise<Facts>;
  /** Read a JSON resource. */
  read(uri: string): Promise<unknown>;
  /** Read a binary resource. */
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
      if (!blob) throw new Problem("NO_BYTES", "Your client didn't return the file.");
      return Uint8Array.from(atob(blob), (char) => char.charCodeAt(0)).buffer;
    },
  };
}

/** Turn a failed call into a problem, from its facts or else its text. */
export function problemOf(facts: Facts, content: unknown): Problem {
  const known = failure(facts.error);
  if (known) return new Problem(known.code, known.message, price(facts));
  const words = list(content).map((block) => text(record(block)?.text) ?? "");
  return new Problem("FAILED", words.join(" ").trim().slice(0, 500) || "The request failed.");
}

/** Describe any error to a person, with what they can do. */
export function inWords(error: unknown): string {
  if (!(error instanceof Problem)) return "Something went wrong on this page.";
  return [error.message, adviceFor(error.code)].filter(Boolean).join(" ");
}

function refused(): never {
  throw new Problem(HOST_REFUSED, "Your client didn't allow this.");
}
