/** Format numbers, sizes and times as text. */

import type { OutputFile } from "./facts";
import { kindName } from "./media_kind";

export function units(amount: number): string {
  return `${Number(amount.toFixed(4))} CU`;
}

/** Format a number with its noun; `more` marks a minimum, as in "1+ files". */
export function counted(count: number, noun: string, more = ""): string {
  return `${count}${more} ${noun}${count === 1 && !more ? "" : "s"}`;
}

export function size(bytes: number): string {
  if (bytes >= 1_000_000) return `${(bytes / 1_000_000).toFixed(1)} MB`;
  if (bytes >= 1_000) return `${(bytes / 1_000).toFixed(1)} KB`;
  return counted(bytes, "byte");
}

export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Format a time in the reader's locale; nothing for an invalid time. */
export function moment(iso: string | undefined, locale?: string): string | undefined {
  const time = iso ? Date.parse(iso) : Number.NaN;
  if (Number.isNaN(time)) return undefined;
  return written(time, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }, locale);
}

/** Format a time briefly: the time if it's today, otherwise the day. */
export function shortMoment(iso: string | undefined, locale?: string): string | undefined {
  const time = iso ? Date.parse(iso) : Number.NaN;
  if (Number.isNaN(time)) return undefined;
  const today = new Date(time).toDateString() === new Date().toDateString();
  const style = today ? ({ hour: "2-digit", minute: "2-digit" } as const) : ({ day: "numeric", month: "short" } as const);
  return written(time, style, locale);
}

function written(time: number, style: Intl.DateTimeFormatOptions, locale?: string): string {
  try {
    return new Intl.DateTimeFormat(locale, style).format(time);
  } catch {
    return new Intl.DateTimeFormat(undefined, style).format(time);
  }
}

/** Type, dimensions, duration and size, if known. */
export function measures(file: OutputFile): string[] {
  const sides = file.width && file.height ? `${file.width} × ${file.height}` : undefined;
  const length = file.durationSeconds ? `${Number(file.durationSeconds.toFixed(1))} s` : undefined;
  const weight = file.sizeBytes === undefined ? undefined : size(file.sizeBytes);
  return [kindName(file), sides, length, weight].filter((part) => part !== undefined);
}

export function fileName(path: string): string {
  return path.split(/[\\/]/).pop() || path;
}

export function label(name: string): string {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
