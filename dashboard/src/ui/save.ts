/** Hands a file to the reader, as a download. */

import { element } from './dom';

/** How long the browser may take to begin with a download. */
const KEPT_MS = 60_000;

export function saveFile(name: string, content: Blob): void {
  const href = URL.createObjectURL(content);
  element('a', { href, download: name }).click();
  setTimeout(() => {
    URL.revokeObjectURL(href);
  }, KEPT_MS);
}
