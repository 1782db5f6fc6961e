/**
 * A combobox that finds symbols whatever their spelling (see `model/symbols`). Each match shows its price, so that the
 * user can tell similar ones apart before opening one.
 */

import { fixed, percent } from '../helpers/format';
import { searchSymbols } from '../model/symbols';
import type { Store } from '../model/store';
import { changeOf } from '../model/watchlist';
import { element } from './dom';

const MATCHES_MAX = 12;

export class Search {
  readonly #input = element('input', {
    type: 'text',
    id: 'search-input',
    role: 'combobox',
    'aria-label': 'Search symbol',
    'aria-controls': 'search-matches',
    'aria-expanded': 'false',
    'aria-autocomplete': 'list',
    placeholder: 'Symbol',
    autocomplete: 'off',
    autocapitalize: 'characters',
    spellcheck: 'false',
    enterkeyhint: 'go',
  });
  readonly #matches = element('div', { id: 'search-matches', role: 'listbox', 'aria-label': 'Matching symbols', class: 'matches', hidden: '' });
  readonly #none = element('p', { class: 'matches no-match', role: 'status', hidden: '' });
  #found: readonly string[] = [];
  #active = 0;

  constructor(
    root: HTMLElement,
    private readonly store: Store,
    private readonly select: (symbol: string) => void,
  ) {
    root.append(this.#input, element('kbd', { 'aria-hidden': 'true' }, '/'), this.#matches, this.#none);
    this.#input.addEventListener('input', () => {
      this.#look();
    });
    this.#input.addEventListener('focus', () => {
      this.#input.select();
      this.#look();
    });
    this.#input.addEventListener('blur', () => {
      this.#close();
    });
    this.#input.addEventListener('keydown', (event) => {
      this.#key(event);
    });
    // Before the blur event, which would close the list under the pointer.
    this.#matches.addEventListener('pointerdown', (event) => {
      event.preventDefault();
      const symbol = (event.target as HTMLElement).closest<HTMLElement>('[data-symbol]')?.dataset['symbol'];
      if (symbol !== undefined) this.#take(symbol);
    });
  }

  focus(): void {
    this.#input.focus();
  }

  #look(): void {
    this.#found = searchSymbols(this.store.symbols, this.#input.value, MATCHES_MAX);
    this.#active = 0;
    this.#show();
  }

  #show(): void {
    const options = this.#found.map((symbol, index) => this.#option(symbol, index));
    const missed = options.length === 0 && this.#input.value !== '';
    this.#none.textContent = missed ? `No symbol fits “${this.#input.value}”` : '';
    this.#none.hidden = !missed;
    this.#matches.replaceChildren(...options);
    this.#matches.hidden = options.length === 0;
    this.#input.setAttribute('aria-expanded', String(options.length > 0));
    if (options.length > 0) this.#input.setAttribute('aria-activedescendant', `match-${this.#active}`);
    else this.#input.removeAttribute('aria-activedescendant');
    options[this.#active]?.scrollIntoView({ block: 'nearest' });
  }

  #option(symbol: string, index: number): HTMLElement {
    const row = this.store.rows.get(symbol);
    const change = row === undefined ? null : changeOf(row);
    const move = element('span', { class: 'match-change', 'data-trend': change === null || change.amount === 0 ? 'flat' : change.amount > 0 ? 'up' : 'down' }, percent(change?.percent));
    return element(
      'div',
      { role: 'option', id: `match-${index}`, 'data-symbol': symbol, 'aria-selected': String(index === this.#active) },
      element('span', { class: 'match-symbol' }, symbol),
      // Spaces keep what is read aloud apart; the row's grid does not show them.
      ' ',
      element('span', { class: 'match-last' }, fixed(row?.last, row?.decimals ?? 2)),
      ' ',
      move,
    );
  }

  #key(event: KeyboardEvent): void {
    const count = this.#found.length;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      if (count === 0) return;
      this.#active = (this.#active + (event.key === 'ArrowDown' ? 1 : count - 1)) % count;
      this.#show();
    } else if (event.key === 'Enter') {
      const symbol = this.#found[this.#active];
      if (symbol !== undefined) this.#take(symbol);
    } else if (event.key === 'Escape') {
      this.#input.value = '';
      this.#input.blur();
    }
  }

  #take(symbol: string): void {
    this.#input.value = '';
    this.#input.blur();
    this.select(symbol);
  }

  #close(): void {
    this.#matches.hidden = true;
    this.#none.hidden = true;
    this.#input.setAttribute('aria-expanded', 'false');
    this.#input.removeAttribute('aria-activedescendant');
  }
}
