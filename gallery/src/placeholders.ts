/** Placeholders for the files of a run, in the size that the files will have. */

import { h } from "./dom";
import { type Facts, number } from "./facts";
import type { Kind } from "./media_kind";

const MOST = 8;
// Layer's default number of outputs.
const USUAL_COUNT = 4;
const USUAL_SIDE = 1024;
const LOWEST = 240;
const HIGHEST = 520;
const KINDS: Record<string, Kind> = { image: "picture", video: "video", audio: "sound", three_d: "mesh" };

/** Return how many files a request makes. */
export function askedCount(asked: Facts): number {
  return Math.max(Math.floor(number(asked.batch_size) ?? USUAL_COUNT), 1);
}

/** Return the grid's class for a number of files. */
export function gridClass(count: number): string {
  return ({ 1: "cards one", 2: "cards even", 4: "cards even" } as Record<number, string>)[count] ?? "cards";
}

/** Reserve the space of a single picture before it is loaded. */
export function reserve(element: HTMLElement, width: number, height: number): void {
  const ratio = width / height;
  const shown = Math.min(Math.max(width, LOWEST * ratio), HIGHEST * ratio);
  element.style.setProperty("--shown-width", `${shown}px`);
  element.style.setProperty("--ratio", String(ratio));
}

/** Cards without files; `modality` is the model's. */
export function placeholders(asked: Facts, modality?: string): HTMLElement {
  const count = Math.min(askedCount(asked), MOST);
  const kind = KINDS[modality ?? ""] ?? "picture";
  const cards = Array.from({ length: count }, () => placeholder(kind, asked));
  return h("div", { class: gridClass(count), "aria-hidden": "true" }, ...cards);
}

function placeholder(kind: Kind, asked: Facts): HTMLElement {
  const picture = h("div", { class: "shown" });
  reserve(picture, number(asked.width) || USUAL_SIDE, number(asked.height) || USUAL_SIDE);
  return h(
    "div",
    { class: `card opaque place ${kind}` },
    h("div", { class: "media" }, h("div", { class: "frame" }, picture)),
    h("div", { class: "caption" }),
  );
}
