/** What stands in the place of a file that cannot be shown. */

import { button, h, icon } from "./dom";

export const NO_ANSWER = "This file no longer answers at its address.";

/** A place for a file that cannot be shown, with the reason. */
export function unavailable(words: string, again?: () => void): HTMLElement {
  return h(
    "div",
    { class: "unavailable" },
    icon("warning"),
    h("p", {}, words),
    again && button("Try again", { class: "link", onclick: again }),
  );
}
