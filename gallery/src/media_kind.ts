/** The kind of an output file, and whether its URL may be loaded. */

import type { OutputFile } from "./facts";

export type Kind = "picture" | "video" | "sound" | "mesh" | "other";
type Named = Pick<OutputFile, "contentType" | "url">;

const BY_ENDING: Record<string, Kind> = {
  png: "picture",
  jpg: "picture",
  jpeg: "picture",
  webp: "picture",
  gif: "picture",
  svg: "picture",
  mp4: "video",
  webm: "video",
  mp3: "sound",
  wav: "sound",
  ogg: "sound",
  glb: "mesh",
};
const LOCAL = new Set(["127.0.0.1", "localhost"]);

export function kindOf(file: Named): Kind {
  const type = file.contentType ?? "";
  if (type.startsWith("image/")) return "picture";
  if (type.startsWith("video/")) return "video";
  if (type.startsWith("audio/")) return "sound";
  if (type.startsWith("model/gltf-binary")) return "mesh";
  const ending = endingOf(file);
  return (Object.hasOwn(BY_ENDING, ending) ? BY_ENDING[ending] : undefined) ?? "other";
}

export function kindName(file: Named): string {
  return endingOf(file).toUpperCase() || file.contentType?.slice(0, 40) || "File";
}

/** Return the URL of an output if a page may load it: https, or loopback for the sandbox. */
export function address(url: string | undefined): string | undefined {
  if (!url || !URL.canParse(url)) return undefined;
  const parts = new URL(url);
  const local = parts.protocol === "http:" && LOCAL.has(parts.hostname);
  return (parts.protocol === "https:" || local) && !parts.username ? parts.href : undefined;
}

function endingOf(file: Named): string {
  const path = file.url && URL.canParse(file.url) ? new URL(file.url).pathname : "";
  return /\.([a-z0-9]{2,5})$/i.exec(path)?.[1]?.toLowerCase() ?? "";
}
