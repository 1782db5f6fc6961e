/** Short messages to the user. Each disappears by itself; the same one is not shown twice at a time. */

import { element } from './dom';

const SHOWN_MS = 6_000;
const NOTICES_MAX = 3;

export class Notices {
  constructor(private readonly root: HTMLElement) {}

  say(text: string): void {
    if ([...this.root.children].some((child) => child.textContent === text)) return;
    const notice = element('p', { class: 'notice' }, text);
    this.root.append(notice);
    while (this.root.childElementCount > NOTICES_MAX) this.root.firstElementChild?.remove();
    setTimeout(() => {
      notice.remove();
    }, SHOWN_MS);
  }
}
