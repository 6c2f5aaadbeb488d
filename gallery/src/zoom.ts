/** Pictures at full size: zoom and pan by pointer, wheel and keyboard. */

import { button, h } from "./dom";

export interface Zoomed {
  number: number;
  url: string;
  facts: string;
}

const STEP = 1.25;
const MOST = 8;
const MOVE = 60;

/** Open a dialog at a picture, and return a function that closes it and restores the focus. */
export function openZoom(pictures: Zoomed[], number: number, openLink?: (url: string) => void): () => void {
  let index = Math.max(0, pictures.findIndex((one) => one.number === number));
  let scale = 1;
  let x = 0;
  let y = 0;
  const held = new Map<number, PointerEvent>();

  const image = h("img", { draggable: "false" });
  const stage = h("div", { class: "zoom-stage" }, image);
  const title = h("h2", {});
  const facts = h("span", { class: "meta" });
  const percent = h("output", { "aria-live": "polite" });
  const tool = (name: "minus" | "plus" | "back" | "next" | "open" | "close", label: string, onclick: () => void) =>
    button("", { icon: name, class: "tool", label, onclick });
  const many = pictures.length > 1;
  const dialog = h(
    "dialog",
    { class: "zoom", "aria-label": "Picture", onclose: () => dialog.remove(), onkeydown: pressed },
    h("div", { class: "zoom-bar" },
      h("div", { class: "zoom-words" }, title, facts),
      many && tool("back", "Previous picture", () => go(-1)),
      many && tool("next", "Next picture", () => go(1)),
      tool("minus", "Zoom out", () => zoom(1 / STEP)),
      percent,
      tool("plus", "Zoom in", () => zoom(STEP)),
      openLink && tool("open", "Open in the browser", () => openLink(pictures[index]?.url ?? "")),
      tool("close", "Close", () => dialog.close()),
    ),
    stage,
  );

  function go(by: number): void {
    index = (index + by + pictures.length) % pictures.length;
    const picture = pictures[index];
    if (!picture) return;
    image.src = picture.url;
    image.alt = `Picture ${picture.number}`;
    title.textContent = many ? `Picture ${picture.number} of ${pictures.length}` : "Picture";
    facts.textContent = picture.facts;
    reset();
  }

  function reset(): void {
    scale = 1;
    x = 0;
    y = 0;
    place();
  }

  function zoom(by: number, at = { x: 0, y: 0 }): void {
    const next = Math.min(Math.max(scale * by, 1), MOST);
    x = at.x - ((at.x - x) * next) / scale;
    y = at.y - ((at.y - y) * next) / scale;
    scale = next;
    place();
  }

  function move(dx: number, dy: number): void {
    x += dx;
    y += dy;
    place();
  }

  function place(): void {
    const roomX = Math.max(0, (image.clientWidth * scale - stage.clientWidth) / 2);
    const roomY = Math.max(0, (image.clientHeight * scale - stage.clientHeight) / 2);
    x = Math.min(Math.max(x, -roomX), roomX);
    y = Math.min(Math.max(y, -roomY), roomY);
    image.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    percent.textContent = `${Math.round(scale * 100)} %`;
    stage.classList.toggle("movable", scale > 1);
  }

  function pressed(event: KeyboardEvent): void {
    const zoomed = scale > 1;
    const moves: Record<string, () => void> = {
      "+": () => zoom(STEP),
      "=": () => zoom(STEP),
      "-": () => zoom(1 / STEP),
      "0": reset,
      ArrowLeft: () => (zoomed ? move(MOVE, 0) : go(-1)),
      ArrowRight: () => (zoomed ? move(-MOVE, 0) : go(1)),
      ArrowUp: () => move(0, MOVE),
      ArrowDown: () => move(0, -MOVE),
    };
    const action = Object.hasOwn(moves, event.key) ? moves[event.key] : undefined;
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  }

  function fromMiddle(event: MouseEvent): { x: number; y: number } {
    const box = stage.getBoundingClientRect();
    return { x: event.clientX - box.left - box.width / 2, y: event.clientY - box.top - box.height / 2 };
  }

  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(event.deltaY < 0 ? STEP : 1 / STEP, fromMiddle(event));
  });
  stage.addEventListener("dblclick", (event) => (scale > 1 ? reset() : zoom(3, fromMiddle(event))));
  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    held.set(event.pointerId, event);
  });
  stage.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    if (!before) return;
    const other = [...held.values()].find((one) => one.pointerId !== event.pointerId);
    if (other) zoom(apart(event, other) / (apart(before, other) || 1), fromMiddle(other));
    else move(event.clientX - before.clientX, event.clientY - before.clientY);
    held.set(event.pointerId, event);
  });
  for (const end of ["pointerup", "pointercancel"] as const) {
    stage.addEventListener(end, (event) => held.delete(event.pointerId));
  }
  image.addEventListener("load", place);
  document.body.append(dialog);
  dialog.showModal();
  go(0);
  return () => dialog.close();
}

function apart(one: PointerEvent, other: PointerEvent): number {
  return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
}
