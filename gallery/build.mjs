// Builds the page: node build.mjs <file to write>. Equal sources give an equal file.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = process.argv[2] ?? join(here, "../layer_mcp/server/gallery/gallery.html");

// The page speaks English; the other languages of the checks' messages are a third of its size.
const onlyEnglish = {
  name: "only-english",
  setup(build) {
    build.onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: 'export { default as en } from "./en.js";',
    }));
  },
};

function packageOf(input) {
  const found = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
  return found?.[1];
}

/** The licence texts of the packages that are in the page. */
function notices(inputs) {
  const bundled = Object.entries(inputs).filter(([, input]) => input.bytesInOutput > 0);
  const names = new Set(bundled.map(([path]) => packageOf(path)).filter(Boolean));
  const texts = [...names].sort().map((name) => {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? readFileSync(join(folder, file), "utf8").trim() : "";
    return `${name} ${version} (${license})\n\n${text}`;
  });
  return texts.join("\n\n----\n\n").replaceAll("--", "- -").replaceAll("\r\n", "\n");
}

const result = await build({
  absWorkingDir: here,
  entryPoints: ["src/main.ts"],
  bundle: true,
  minify: true,
  write: false,
  metafile: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  logLevel: "error",
  plugins: [onlyEnglish],
});
const style = await build({
  absWorkingDir: here,
  entryPoints: ["src/style.css"],
  minify: true,
  write: false,
  bundle: true,
  charset: "utf8",
  logLevel: "error",
});
const [output] = Object.values(result.metafile.outputs);
const page = readFileSync(join(here, "src/page.html"), "utf8")
  .replace("/* style */", () => style.outputFiles[0].text.trim())
  .replace("/* script */", () => result.outputFiles[0].text.trim())
  .replace("notices", () => `\n${notices(output.inputs)}\n`);
writeFileSync(target, page);
