/** A placeholder for a file that can't be shown. */

import { button, h, icon } from "./dom";

export const NO_ANSWER = "This file is no longer available.";

/** Create a placeholder for a file that can't be shown, with the reason. */
export function unavailable(words: string, again?: () => void): HTMLElement {
  return h(
    "div",
    { class: "unavailable" },
    icon("warning"),
    h("p", {}, words),
    again && button("Try again", { class: "link", onclick: again }),
  );
}
