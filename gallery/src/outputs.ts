/** The files of a run as cards: pictures, players, and 3D models. */

import { button, fill, h, icon } from "./dom";
import type { OutputFile } from "./facts";
import { counted, measures } from "./format";
import { isOpaque, labels } from "./labels";
import { address, type Kind, kindOf } from "./media_kind";
import { meshCard } from "./mesh_card";
import type { Page } from "./page";
import { gridClass, reserve } from "./placeholders";
import { NO_ANSWER, unavailable } from "./unavailable";
import { openZoom, type Zoomed } from "./zoom";

interface Cards {
  show: (files: OutputFile[], more: number) => HTMLElement;
  dispose: () => void;
}

interface CardActions {
  useAsReference: (file: OutputFile, number: number) => void;
}

const AT_ONCE = 24;
const MOST_REMARKS = 5;
const NOUNS: Record<Kind, string> = {
  picture: "Picture",
  video: "Video",
  sound: "Sound",
  mesh: "3D model",
  other: "File",
};

export function outputCards(page: Page, { useAsReference }: CardActions): Cards {
  const meshes = new Set<() => void>();
  let closeZoom: (() => void) | undefined;

  function show(files: OutputFile[], more: number): HTMLElement {
    stopMeshes();
    const pictures = files
      .map((file, index): Zoomed => ({ number: index + 1, url: address(file.url) ?? "", facts: [...measures(file), ...labels(file)].join(" · ") }))
      .filter((one, index) => one.url && kindOf(files[index] ?? {}) === "picture");
    const grid = h("div", { class: gridClass(files.length) });
    const rest = h("div", { class: "rest" });
    let shown = 0;

    function addMore(): void {
      const next = files.slice(shown, shown + AT_ONCE);
      grid.append(...next.map((file, index) => card(file, shown + index + 1, pictures)));
      shown += next.length;
      const hidden = files.length - shown;
      fill(
        rest,
        hidden > 0 && button(`Show ${Math.min(hidden, AT_ONCE)} more`, { onclick: addMore }),
        hidden === 0 && more > 0 && h("p", { class: "meta" }, `${counted(more, "more file")} not shown here.`),
      );
    }

    addMore();
    return h("div", {}, grid, rest);
  }

  function card(file: OutputFile, number: number, pictures: Zoomed[]): HTMLElement {
    const kind = kindOf(file);
    const url = address(file.url);
    const name = `${NOUNS[kind]} ${number}`;
    const openLink = page.openLink;
    return h(
      "figure",
      { class: `card ${kind}${isOpaque(file) ? " opaque" : ""}` },
      h("div", { class: "media" }, media(file, { kind, url, name, number, pictures })),
      h(
        "figcaption",
        {},
        h("span", { class: "measures", title: measures(file).join(" · ") }, ...measureParts(file)),
        h("span", { class: "tools" },
          kind === "picture" && file.fileId !== undefined &&
            button("", { icon: "reference", class: "tool", label: `Use file ${number} as a reference`, onclick: () => useAsReference(file, number) }),
          openLink && url !== undefined &&
            button("", { icon: "open", class: "tool open", label: `Open file ${number} in the browser`, onclick: () => openLink(url) }),
        ),
        chips(labels(file)),
        remarks(file.remarks),
      ),
    );
  }

  interface Shown {
    kind: Kind;
    url?: string;
    name: string;
    number: number;
    pictures: Zoomed[];
  }

  function media(file: OutputFile, { kind, url, name, number, pictures }: Shown): HTMLElement {
    if (!url) return unavailable("This file can't be shown here.");
    switch (kind) {
      case "picture":
        return picture(file, url, name, () => {
          closeZoom = openZoom(pictures, number, page.openLink);
        });
      case "video":
        return player("video", url, name);
      case "sound":
        return h("div", { class: "sounding" }, icon("sound"), player("audio", url, name));
      case "mesh": {
        const mesh = meshCard(page, { file, url, name, active: meshes });
        if (meshes.size === 0) mesh.start();
        return mesh.element;
      }
      case "other":
        return unavailable("This kind of file can't be previewed here. Save it to open it.");
    }
  }

  function stopMeshes(): void {
    for (const stop of meshes) stop();
    meshes.clear();
  }

  function dispose(): void {
    stopMeshes();
    closeZoom?.();
  }

  return { show, dispose };
}

/** Type, dimensions, duration and size; a narrow card shows only some. */
function measureParts(file: OutputFile): HTMLElement[] {
  return measures(file).map((part, index, all) => {
    const name = index === 0 ? "kind" : index === all.length - 1 && file.sizeBytes !== undefined ? "weight" : undefined;
    return h("span", { class: name }, part);
  });
}

function chips(words: string[]): HTMLElement | undefined {
  if (words.length === 0) return undefined;
  return h("span", { class: "labels" }, ...words.map((one) => h("span", {}, one)));
}

function remarks(words: string[]): HTMLElement | undefined {
  if (words.length === 0) return undefined;
  const shown = words.slice(0, MOST_REMARKS);
  return h("ul", { class: "remarks" }, ...shown.map((one) => h("li", {}, icon("warning"), h("span", {}, one))));
}

function picture(file: OutputFile, url: string, name: string, zoom: () => void): HTMLElement {
  const frame = h("div", { class: "frame" });
  const load = (): void => {
    const image = h("img", {
      src: url,
      alt: name,
      width: file.width,
      height: file.height,
      loading: "lazy",
      decoding: "async",
      class: "shown",
      onerror: () => fill(frame, unavailable(NO_ANSWER, load)),
    });
    if (file.width && file.height) reserve(image, file.width, file.height);
    fill(frame, h("button", { type: "button", class: "zoomable", "aria-label": `Zoom ${name.toLowerCase()}`, onclick: zoom }, image));
  };
  load();
  return frame;
}

function player(name: "video" | "audio", url: string, words: string): HTMLElement {
  const frame = h("div", { class: "frame" });
  const load = (): void => {
    const common = { src: url, controls: true, preload: "metadata", "aria-label": words };
    const onerror = (): void => fill(frame, unavailable(NO_ANSWER, load));
    fill(frame, name === "video" ? h("video", { ...common, playsinline: true, loop: true, onerror }) : h("audio", { ...common, onerror }));
  };
  load();
  return frame;
}
