/** Measurements of a file as small labels, for a person who wants to use it. */

import { type Facts, number, type OutputFile, text } from "./facts";
import { counted } from "./format";

const TRANSPARENT: Record<string, string> = { one_bit: "1-bit alpha", soft: "soft alpha" };
const CHANNELS: Record<number, string> = { 1: "mono", 2: "stereo" };
// The format has no transparency, so a label would say nothing.
const ALWAYS_OPAQUE = "image/jpeg";

/** Whether a picture is known to have no transparency. */
export function isOpaque({ facts }: OutputFile): boolean {
  const alpha = text(facts.alpha);
  return alpha !== undefined && !Object.hasOwn(TRANSPARENT, alpha);
}

export function labels(file: OutputFile): string[] {
  const { facts } = file;
  const frames = number(facts.frames);
  const grid = number(facts.pixel_grid);
  const rate = number(facts.frame_rate);
  const loudness = number(facts.loudness_lufs);
  const triangles = number(facts.triangles);
  const found = [
    transparency(file),
    frames !== undefined && frames > 1 && counted(frames, "frame"),
    grid !== undefined && grid > 1 && `${grid} px grid`,
    rate !== undefined && `${round(rate)} fps`,
    facts.has_sound === false && "no sound",
    CHANNELS[number(facts.channels) ?? 0],
    loudness !== undefined && `${round(loudness)} LUFS`,
    triangles !== undefined && `${triangles.toLocaleString("en")} triangles`,
    sides(facts),
    facts.content_credentials === true && "content credentials",
  ];
  return found.filter((one): one is string => Boolean(one));
}

function transparency(file: OutputFile): string | undefined {
  if (isOpaque(file)) return file.contentType === ALWAYS_OPAQUE ? undefined : "opaque";
  const kind = TRANSPARENT[text(file.facts.alpha) ?? ""];
  // Counts fully transparent pixels only; soft edges alone have none.
  const percent = Math.round((number(file.facts.transparent_share) ?? 0) * 100);
  return kind && percent > 0 ? `${kind} ${percent} %` : kind;
}

/** The dimensions of a mesh in meters. */
function sides({ size_metres: size }: Facts): string | undefined {
  const lengths = Array.isArray(size) ? size.map(number) : [];
  if (lengths.length !== 3 || lengths.includes(undefined)) return undefined;
  return `${lengths.map((length) => Number(length?.toPrecision(2))).join(" × ")} m`;
}

function round(value: number): number {
  return Number(value.toFixed(1));
}
