// Prints how Claude Desktop would start each bundle, as the public tool does: { command, args, env }.
import { readFileSync } from "node:fs";

const tool = "../../bundle/node_modules/@anthropic-ai/mcpb/dist/shared/config.js";
const { getMcpConfigForManifest } = await import(new URL(tool, import.meta.url));
// Its warnings go to stdout.
console.warn = () => {};
const cases = JSON.parse(readFileSync(0, "utf8"));
const configs = await Promise.all(cases.map((options) => getMcpConfigForManifest(options)));
process.stdout.write(JSON.stringify(configs));
