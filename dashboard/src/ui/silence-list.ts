/** The silences that count, or are to count: what each is about, how long it lasts, and a button that ends it. */

import type { EpochMillis } from '../helpers/nominal';
import type { Zone } from '../helpers/zone';
import { leftText, scopeText, type Silence } from '../model/alerts';
import { momentText } from '../model/anomaly-texts';
import { element, replaceRows, setText } from './dom';
import { refusalText } from './refusal';

export interface SilenceListener {
  /** The reader wants another one. */
  asked(): void;
  ended(id: string): Promise<void>;
  say(text: string): void;
}

export class SilenceList {
  readonly root: HTMLElement;
  readonly #list = element('ul', { class: 'silences' });
  readonly #none = element('p', { class: 'system-note' }, 'None: everything is told.');
  readonly #rows = new Map<string, { readonly root: HTMLElement; readonly left: HTMLElement }>();
  #order = '';

  constructor(
    private readonly zone: () => Zone,
    private readonly listener: SilenceListener,
  ) {
    const ask = element('button', { type: 'button', class: 'alert-button' }, 'New silence');
    ask.addEventListener('click', () => {
      listener.asked();
    });
    this.root = element('section', { class: 'system-card system-wide', 'aria-label': 'Silences' }, element('div', { class: 'system-card-head' }, element('h3', {}, 'Silences'), ask), this.#none, this.#list);
  }

  /** What is shown, for tests. */
  texts(): string[] {
    return [...this.#list.children].map((row) => (row instanceof HTMLElement ? row.innerText.replaceAll(/\s+/g, ' ').trim() : ''));
  }

  /** @param now the time by the server's clock */
  draw(silences: readonly Silence[], now: EpochMillis): void {
    this.#none.hidden = silences.length > 0;
    const kept = new Set(silences.map(({ id }) => id));
    for (const silence of silences) {
      const row = this.#rows.get(silence.id) ?? this.#make(silence);
      setText(row.left, leftText(silence, now));
    }
    for (const id of this.#rows.keys()) if (!kept.has(id)) this.#rows.delete(id);
    const order = [...kept].join('\n');
    if (order === this.#order) return;
    this.#order = order;
    replaceRows(this.#list, silences.map(({ id }) => this.#rows.get(id)?.root));
  }

  #make(silence: Silence): { readonly root: HTMLElement; readonly left: HTMLElement } {
    const left = element('span', { class: 'silence-left' });
    const end = element('button', { type: 'button', class: 'alert-button', 'aria-label': `End the silence of ${scopeText(silence)}` }, 'End');
    const why = [silence.comment, silence.by === '' ? '' : `by ${silence.by}`].filter((text) => text !== '').join(' · ');
    end.addEventListener('click', () => void this.#end(end, silence.id));
    const root = element(
      'li',
      {},
      element('span', { class: 'silence-scope' }, scopeText(silence)),
      ' ',
      left,
      ' ',
      element('span', { class: 'system-note' }, `until ${momentText(silence.end, this.zone())}${why === '' ? '' : ` · ${why}`}`),
      end,
    );
    const row = { root, left };
    this.#rows.set(silence.id, row);
    return row;
  }

  async #end(button: HTMLButtonElement, id: string): Promise<void> {
    button.disabled = true;
    try {
      await this.listener.ended(id);
    } catch (error) {
      button.disabled = false;
      this.listener.say(refusalText(error));
    }
  }
}
