/** What stands where the bars would be, while there are none: why, and a button for each view to go to instead. */

import type { Store } from '../model/store';
import { explain } from '../model/way-back';
import { element, setText } from './dom';
import type { PreferenceStore } from './preferences';

export class Cover {
  readonly #text = element('p', { class: 'cover-text', role: 'status' }, 'Connecting…');
  readonly #ways = element('div', { class: 'cover-ways' });
  #drawn = '';

  constructor(
    private readonly root: HTMLElement,
    private readonly store: Store,
    private readonly preferences: PreferenceStore,
    private readonly go: (symbol: string, window: string) => void,
  ) {
    root.replaceChildren(this.#text, this.#ways);
  }

  draw(): void {
    const explanation = explain(this.store, this.preferences.current);
    setText(this.#text, explanation?.text ?? '');
    this.root.hidden = explanation === undefined;
    const ways = explanation?.ways ?? [];
    // Made again only when they differ: a button that is replaced loses the focus.
    const drawn = ways.map(({ text }) => text).join('\n');
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#ways.replaceChildren(
      ...ways.map(({ symbol, window, text }) => {
        const button = element('button', { type: 'button', class: 'cover-way' }, text);
        button.addEventListener('click', () => {
          this.go(symbol, window);
        });
        return button;
      }),
    );
  }
}
