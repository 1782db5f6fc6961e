/** Keyboard shortcuts: one table drives both the actions and the help, so that the help cannot be wrong. */

import { element } from './dom';

export interface Shortcut {
  /** `KeyboardEvent.key` values that trigger it. */
  readonly keys: readonly string[];
  /** How the help writes them. */
  readonly shown: string;
  readonly text: string;
  run(key: string): void;
}

/** Keys that the focused element handles itself; for the help only. */
const LOCAL: readonly (readonly [shown: string, text: string])[] = [
  ['↑ ↓ PgUp PgDn', 'In the watchlist: move'],
  ['← →', 'In the chart: read bar by bar; with Shift, ten at a time'],
  ['+ −', 'In the chart: wider or narrower bars'],
  ['Tab ↑ ↓', 'On the edge of a pane below the chart: higher or lower'],
  ['Esc', 'Leave the search, the crosshair or this help'],
];

/** `j k` are two keys, `1 … 9` two with a gap. */
function keyCaps(shown: string): (Node | string)[] {
  return shown.split(' ').flatMap((key) => [key === '…' ? key : element('kbd', {}, key), ' ']);
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

export class Shortcuts {
  readonly #dialog: HTMLDialogElement;

  constructor(private readonly shortcuts: readonly Shortcut[]) {
    const rows = [...shortcuts.map((shortcut) => [shortcut.shown, shortcut.text] as const), ...LOCAL].map(([shown, text]) =>
      element('div', {}, element('dt', {}, ...keyCaps(shown)), element('dd', {}, text)),
    );
    const close = element('button', { type: 'button', class: 'icon', 'aria-label': 'Close' }, '×');
    this.#dialog = element(
      'dialog',
      { class: 'help', 'aria-labelledby': 'help-title' },
      element('div', { class: 'help-head' }, element('h2', { id: 'help-title' }, 'Keyboard'), close),
      element('dl', {}, ...rows),
      element(
        'p',
        { class: 'help-marks' },
        element('span', { class: 'mark mark-amended', 'aria-hidden': 'true' }),
        'A dot above a bar: it was amended after it closed. ',
        element('span', { class: 'mark mark-partial', 'aria-hidden': 'true' }),
        'A hollow bar with a square below: its source was silent for a part of the window. Hatched: it was silent all the time. Dashed edges: an empty stretch, drawn shorter. Unaccounted, the residue: reports that came in less those that the ledger accounts for; 0 means that none is lost.',
      ),
    );
    document.body.append(this.#dialog);
    close.addEventListener('click', () => {
      this.#dialog.close();
    });
    this.#dialog.addEventListener('click', (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
    document.addEventListener('keydown', (event) => {
      this.#key(event);
    });
  }

  toggleHelp(): void {
    if (this.#dialog.open) this.#dialog.close();
    else this.#dialog.showModal();
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const shortcut = this.shortcuts.find((candidate) => candidate.keys.includes(event.key));
    // Under a dialog nothing happens that the user does not see; the help alone closes with its own key.
    const dialog = document.querySelector('dialog[open]');
    if (shortcut === undefined || (dialog !== null && (dialog !== this.#dialog || event.key !== '?'))) return;
    event.preventDefault();
    shortcut.run(event.key);
  }
}
