// Builds the page: node build.mjs <file to write>. Equal sources give an equal file.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { gzipSync } from "fflate";

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

/** One bundle: its text, and the packages that are in it. */
async function bundle(entry, options = {}) {
  const result = await build({
    absWorkingDir: here,
    entryPoints: [entry],
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
    ...options,
  });
  const [{ inputs }] = Object.values(result.metafile.outputs);
  const used = Object.entries(inputs).filter(([, input]) => input.bytesInOutput > 0);
  return { text: result.outputFiles[0].text.trim(), packages: used.map(([path]) => packageOf(path)) };
}

function packageOf(input) {
  return /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
}

/** The packages that are in the page, each under the text of its licence. */
function notices(packages) {
  const holders = new Map();
  for (const name of [...new Set(packages.filter(Boolean))].sort()) {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? readFileSync(join(folder, file), "utf8").trim() : "";
    holders.set(text, [...(holders.get(text) ?? []), `${name} ${version} (${license})`]);
  }
  const texts = [...holders].map(([text, names]) => `${names.join("\n")}\n\n${text}`);
  return texts.join("\n\n\n").replaceAll("--", "- -").replaceAll("\r\n", "\n");
}

function packed(text) {
  return Buffer.from(gzipSync(Buffer.from(text), { level: 9, mtime: 0 })).toString("base64");
}

const style = await bundle("src/style.css");
const script = await bundle("src/main.ts");
const viewer = await bundle("src/mesh_viewer.ts", { globalName: "meshViewerPart" });
const parts = {
  "/* style */": style.text,
  "/* script */": script.text,
  "/* mesh viewer */": packed(viewer.text),
  notices: `\n${notices([...script.packages, ...viewer.packages])}\n`,
};
let page = readFileSync(join(here, "src/page.html"), "utf8");
for (const [place, text] of Object.entries(parts)) page = page.replace(place, () => text);
writeFileSync(target, page);
