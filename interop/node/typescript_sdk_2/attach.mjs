/**
 * Attach to a server that authenticates callers, with a token or with OAuth, and make a paid call.
 *
 * The argument is JSON with `url`, `image`, and, unless it uses OAuth, `token`. No browser is
 * needed: the program follows the redirect itself, because the authorization server asks nobody.
 */

import {
  Client,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from "@modelcontextprotocol/client";

const REDIRECT_URL = "http://127.0.0.1:9/callback";

/** Keeps what the client has to remember, in memory. */
class Memory {
  redirectUrl = REDIRECT_URL;
  clientMetadata = { client_name: "attach", redirect_uris: [REDIRECT_URL] };

  clientInformation() {
    return this.information;
  }

  saveClientInformation(information) {
    this.information = information;
  }

  tokens() {
    return this.kept;
  }

  saveTokens(tokens) {
    this.kept = tokens;
  }

  codeVerifier() {
    return this.verifier;
  }

  saveCodeVerifier(verifier) {
    this.verifier = verifier;
  }

  discoveryState() {
    return this.discovered;
  }

  saveDiscoveryState(state) {
    this.discovered = state;
  }

  async redirectToAuthorization(url) {
    const { headers } = await fetch(url, { redirect: "manual" });
    this.answer = new URL(headers.get("location")).searchParams;
  }
}

const { url, token, image } = JSON.parse(process.argv[2]);
const memory = token ? undefined : new Memory();
const client = new Client(
  { name: "attach", version: "1" },
  { versionNegotiation: { mode: { pin: "2026-07-28" } } },
);
let transport;

function connect() {
  const requestInit = token ? { headers: { Authorization: `Bearer ${token}` } } : {};
  transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: memory, requestInit });
  return client.connect(transport);
}

/** Do something, and do it again after the client has asked for a token. */
async function authorized(act) {
  try {
    return await act();
  } catch (error) {
    if (!memory || !(error instanceof UnauthorizedError)) throw error;
    await transport.finishAuth(memory.answer);
    return await act();
  }
}

async function call(name, values) {
  const { structuredContent } = await client.callTool({ name, arguments: values });
  return structuredContent;
}

/** The status of a run that is paid for, or why the call is refused. */
async function generate() {
  try {
    const { inference_id } = await authorized(() => call("execute_inference", image));
    return (await call("get_status", { inference_id })).status;
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
}

await authorized(connect);
const { tools } = await client.listTools();
const outcome = await generate();
console.log(JSON.stringify({ tools: tools.map((tool) => tool.name), outcome }));
await client.close();
