/**
 * What was set aside: how many by reason, and the newest of them. The counts are pushed; the newest are asked for when the
 * view opens, and when the counts have grown, every few seconds at most.
 */

import { counted, fixed } from '../helpers/format';
import { instantText, parseTime, toSeconds } from '../helpers/time';
import type { Zone } from '../helpers/zone';
import { numDeadLetters, type System } from '../model/system';
import { element, setText } from './dom';

/** A row of what was set aside, as the server gives it. */
export interface DeadLetter {
  readonly reason?: string;
  readonly symbol?: string | null;
  readonly provider?: string;
  readonly received_at?: string;
  readonly payload?: string;
}

/** How many of the newest are shown. */
export const LETTERS_SHOWN = 20;
const ASK_EVERY_MS = 5_000;

export class DeadLetters {
  readonly root: HTMLElement;
  readonly #count = element('p', { class: 'system-note' });
  readonly #reasons = element('dl', { class: 'system-counts' });
  readonly #body = element('tbody');
  readonly #table: HTMLElement;
  #asked = -1;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #drawn = '';

  /** @param load asks for the newest ones */
  constructor(
    private readonly system: System,
    private readonly zone: () => Zone,
    private readonly load: () => Promise<readonly DeadLetter[]>,
  ) {
    const head = element('tr', {}, ...['Received', 'Reason', 'Symbol', 'Source', 'Content'].map((text) => element('th', { scope: 'col' }, text)));
    this.#table = element('table', { class: 'letters' }, element('caption', { class: 'visually-hidden' }, 'Newest dead letters'), element('thead', {}, head), this.#body);
    this.root = element(
      'section',
      { class: 'system-card system-wide', 'aria-label': 'Dead letters' },
      element('div', { class: 'system-card-head' }, element('h3', {}, 'Dead letters'), this.#count),
      this.#reasons,
      element('div', { class: 'system-scroll', tabindex: '0', role: 'group', 'aria-label': 'Newest dead letters, scrolls' }, this.#table),
    );
  }

  /** The view opens: what was asked for before is old. */
  open(): void {
    this.#asked = -1;
    this.#ask();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  draw(): void {
    const { now } = this.system;
    if (now === null) return;
    const count = numDeadLetters(now);
    setText(this.#count, `${counted(count, 'report')} set aside`);
    const reasons = Object.entries(now.deadLetters).sort(([a], [b]) => (a < b ? -1 : 1));
    const drawn = JSON.stringify(reasons);
    if (drawn !== this.#drawn) {
      this.#drawn = drawn;
      this.#reasons.replaceChildren(...reasons.map(([reason, each]) => element('div', {}, element('dt', {}, reason), element('dd', {}, fixed(each, 0)))));
    }
    if (count !== this.#asked && this.#asked !== -1) this.#timer ??= setTimeout(() => { this.#ask(); }, ASK_EVERY_MS);
  }

  /** What is shown, for tests. */
  texts(): { readonly count: string; readonly reasons: string; readonly letters: string[][] } {
    return { count: this.#count.textContent, reasons: this.#reasons.innerText, letters: [...this.#body.rows].map((row) => [...row.cells].map((cell) => cell.textContent)) };
  }

  #ask(): void {
    this.#timer = undefined;
    this.#asked = numDeadLetters(this.system.now);
    void this.load().then((letters) => {
      this.#body.replaceChildren(...letters.map((letter) => rowOf(letter, this.zone())));
      this.#table.hidden = letters.length === 0;
    });
  }
}

function rowOf({ reason = '', symbol, provider = '', received_at = '', payload = '' }: DeadLetter, zone: Zone): HTMLElement {
  const time = parseTime(received_at);
  const cells = [time === undefined ? received_at : instantText(toSeconds(time), zone), reason, symbol ?? '–', provider];
  return element('tr', {}, ...cells.map((text) => element('td', {}, text)), element('td', { class: 'letter-content', title: payload }, payload));
}
