/** What the views share: the server, navigation, and announcements. */

import type { Server } from "./server";

export interface View {
  element: HTMLElement;
  /** Stops the view's background work. */
  dispose: () => void;
}

export interface Page {
  server: Server;
  /** Open another view on top of the current one. */
  open: (view: () => View) => void;
  /** Open another view and discard the others. */
  replace: (view: () => View) => void;
  /** Announce something to screen readers. */
  announce: (words: string) => void;
  /** Tell the agent what a person did on the page. */
  tell: (words: string) => void;
  /** Opens a URL in the browser; unset if the host can't. */
  openLink?: (url: string) => void;
  locale?: string;
}
