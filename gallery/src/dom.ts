/** Elements made from plain values: text is always text, never markup. */

type Child = Node | string | undefined | false;
type Value = string | number | boolean | undefined | ((event: never) => void);

/** Create an element. Names that start with `on` are listeners; `false` and undefined values are skipped. */
export function h<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  given: Record<string, Value> = {},
  ...children: Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === false) continue;
    if (typeof value === "function") {
      element.addEventListener(key.slice(2), value as EventListener);
    } else {
      element.setAttribute(key, value === true ? "" : String(value));
    }
  }
  fill(element, ...children);
  return element;
}

/** Replace the children of an element. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren(...children.filter((child): child is Node | string => Boolean(child)));
}

const ICONS = {
  again: "M4 12a8 8 0 0 1 13.7-5.6L20 9M20 4v5h-5M20 12a8 8 0 0 1-13.7 5.6L4 15M4 20v-5h5",
  back: "M15 5l-7 7 7 7",
  close: "M6 6l12 12M18 6L6 18",
  cube: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
  film: "M4 5h16v14H4zM8 5v14M16 5v14M4 9.5h4M4 14.5h4M16 9.5h4M16 14.5h4",
  full: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  minus: "M5 12h14",
  next: "M9 5l7 7-7 7",
  open: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 2-2 5 4M15.5 9.5h.01",
  plus: "M12 5v14M5 12h14",
  reference: "M4 4h10v10H4zM10 18v2h10V10h-2M17 13v4M15 15h4",
  save: "M12 4v11M7 11l5 5 5-5M4 20h16",
  sound: "M4 10v4h4l5 4V6L8 10zM16.5 9a4 4 0 0 1 0 6M19 6.5a8 8 0 0 1 0 11",
  warning: "M12 4l9 16H3zM12 10v4M12 17h.01",
} as const;

export type Icon = keyof typeof ICONS;

/** An icon next to text; screen readers skip it. */
export function icon(name: Icon): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

interface ButtonFacts {
  icon?: Icon;
  class?: string;
  label?: string;
  onclick: () => void;
}

/** Create a button; `label` names one that shows only an icon. */
export function button(words: string, facts: ButtonFacts): HTMLButtonElement {
  return h(
    "button",
    {
      type: "button",
      class: facts.class ?? "button",
      "aria-label": facts.label,
      title: words ? undefined : facts.label,
      onclick: facts.onclick,
    },
    facts.icon && icon(facts.icon),
    words && h("span", {}, words),
  );
}
