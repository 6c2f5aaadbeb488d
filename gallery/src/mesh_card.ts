/** A 3D model in its card: shown on request, one at a time, or replaced by an explanation. */

import { bounded, TooLarge } from "./bounded";
import { button, fill, h, icon } from "./dom";
import type { OutputFile } from "./facts";
import { address } from "./media_kind";
import type * as MeshViewer from "./mesh_viewer";
import { unpacked } from "./packed";
import type { Page } from "./page";
import { NO_ANSWER, unavailable } from "./unavailable";

interface Shown {
  file: OutputFile;
  url: string;
  name: string;
  /** Functions that stop the current 3D views: browsers allow only a few. */
  active: Set<() => void>;
}

interface MeshCard {
  element: HTMLElement;
  start: () => void;
}

const MOST_BYTES = 100_000_000;
const NO_WEBGL = "3D isn't available here. Save the file and open it in another app.";
const TOO_LARGE = "This 3D model is too large to show here. Save the file and open it in another app.";
const BROKEN = "This 3D model can't be shown here. Save the file and open it in another app.";

export function meshCard(page: Page, { file, url, name, active }: Shown): MeshCard {
  const element = h("div", { class: "frame" });

  function rest(): void {
    const poster = address(file.previewUrl);
    fill(
      element,
      poster !== undefined
        ? h("img", { src: poster, alt: name, loading: "lazy", onerror: (event: Event) => (event.target as Element).remove() })
        : icon("cube"),
      button("Show in 3D", { icon: "cube", onclick: start }),
    );
  }

  function start(): void {
    for (const stop of active) stop();
    active.clear();
    const stop = new AbortController();
    active.add(() => {
      stop.abort();
      rest();
    });
    fill(element, h("p", { class: "meta", role: "status" }, "Loading the 3D model…"));
    void show(stop.signal);
  }

  async function show(stop: AbortSignal): Promise<void> {
    if (!drawsMeshes()) return fill(element, unavailable(NO_WEBGL));
    const bytes = await load(stop).catch(unread);
    if (stop.aborted) return;
    if (bytes instanceof HTMLElement) return fill(element, bytes);
    try {
      const { meshViewer } = await unpacked<typeof MeshViewer>("mesh-viewer", "meshViewerPart");
      const viewer = await meshViewer(bytes, { name, stop });
      if (!stop.aborted) fill(element, viewer);
    } catch {
      if (!stop.aborted) fill(element, unavailable(BROKEN));
    }
  }

  function unread(error: unknown): HTMLElement {
    return error instanceof TooLarge ? unavailable(TOO_LARGE) : unavailable(NO_ANSWER, start);
  }

  /** Read the bytes from their URL, or through the host if the browser isn't allowed to. */
  async function load(stop: AbortSignal): Promise<ArrayBuffer> {
    if ((file.sizeBytes ?? 0) > MOST_BYTES) throw new TooLarge();
    try {
      const answer = await fetch(url, { credentials: "omit", signal: stop });
      if (!answer.ok) throw new Error(`${answer.status}`);
      return await bounded(answer, MOST_BYTES);
    } catch (error) {
      if (!file.fileId || stop.aborted || error instanceof TooLarge) throw error;
      return await page.server.bytes(`layer://outputs/${encodeURIComponent(file.fileId)}`);
    }
  }

  rest();
  return { element, start };
}

function drawsMeshes(): boolean {
  try {
    const context = document.createElement("canvas").getContext("webgl2");
    context?.getExtension("WEBGL_lose_context")?.loseContext();
    return context !== null;
  } catch {
    return false;
  }
}
