/** What the views have in common: the server, the way from one view to another, and a voice. */

import type { Server } from "./server";

export interface View {
  element: HTMLElement;
  /** Stops what the view does in the background. */
  dispose: () => void;
}

export interface Page {
  server: Server;
  /** Go to another view; the one that is there stays behind it. */
  open: (view: () => View) => void;
  /** Say something to people who do not see the page. */
  announce: (words: string) => void;
  /** Let the agent know what a person did here. */
  tell: (words: string) => void;
  /** Opens an address in the browser; nothing where the host has no way. */
  openLink?: (url: string) => void;
  locale?: string;
}
