/**
 * The heads of the watchlist's columns: what each column is, since when, and buttons that sort by it. A button more pins
 * the symbol that is shown.
 */

import { type Column, COLUMNS, type Sort } from '../model/preferences';
import { element, setText } from './dom';

interface Head {
  readonly text: string;
  readonly span: string;
  /** What it is, in a sentence. */
  readonly title: string;
}

const HEADS: Readonly<Record<Column, Head>> = {
  symbol: { text: 'Symbol', span: '', title: 'Symbol' },
  last: { text: 'Last', span: '', title: 'Price of the last trade' },
  change: { text: 'Change', span: 'since 00:00 UTC', title: 'Change since the last price of the UTC day before; on a first day, since the first price' },
  volume: { text: 'Vol', span: '1 h', title: 'Volume of the last hour, in bars of a minute that have closed' },
};

export class WatchHead {
  readonly #buttons = new Map<Column, HTMLButtonElement>();
  readonly #pin = element('button', { type: 'button', class: 'watch-pin', 'aria-pressed': 'false' });
  #sort: Sort | undefined;

  /**
   * @param sort called with the column whose head was pressed
   * @param pin called when the pin was pressed
   */
  constructor(root: HTMLElement, sort: (column: Column) => void, pin: () => void) {
    for (const column of COLUMNS) {
      const { text, span, title } = HEADS[column];
      const button = element(
        'button',
        { type: 'button', class: `watch-sort watch-sort-${column}`, title: `${title}. Press to sort.` },
        element('span', { class: 'watch-sort-text' }, text),
        // A blank between: the name that is read aloud must hold what is seen.
        ...(span === '' ? [] : [' ', element('span', { class: 'watch-span' }, span)]),
      );
      button.addEventListener('click', () => {
        sort(column);
      });
      this.#buttons.set(column, button);
    }
    const line = element(
      'span',
      { class: 'watch-line', title: 'Closes of the last hour; the colour compares its end with its beginning' },
      element('span', {}, 'Line'),
      element('span', { class: 'watch-span' }, '1 h'),
    );
    this.#pin.addEventListener('click', pin);
    const [symbol, ...others] = COLUMNS.map((column) => this.#buttons.get(column)).filter((button) => button !== undefined);
    if (symbol !== undefined) root.append(this.#pin, symbol, line, ...others);
  }

  /** Shows how the list is sorted. */
  showSort(sort: Sort): void {
    if (this.#sort?.column === sort.column && this.#sort.descending === sort.descending) return;
    this.#sort = sort;
    for (const [column, button] of this.#buttons) {
      const direction = column !== sort.column ? 'none' : sort.descending ? 'descending' : 'ascending';
      button.dataset['sort'] = direction;
      const { text, span } = HEADS[column];
      const now = direction === 'none' ? '' : `, sorted ${direction}`;
      button.setAttribute('aria-label', `${text}${span === '' ? '' : ` ${span}`}: sort${now}`);
    }
  }

  /** Shows whether the symbol on the chart is pinned. */
  showPin(symbol: string | undefined, isPinned: boolean): void {
    this.#pin.disabled = symbol === undefined;
    this.#pin.setAttribute('aria-pressed', String(isPinned));
    const text = symbol === undefined ? 'Pin' : `${isPinned ? 'Unpin' : 'Pin'} ${symbol}`;
    this.#pin.setAttribute('aria-label', text);
    this.#pin.title = `${text} (p): pinned symbols stand first`;
    setText(this.#pin, isPinned ? '★' : '☆');
  }

  /** How the list is sorted, for tests. */
  texts(): Record<string, string> {
    return { sort: this.#sort === undefined ? '' : `${this.#sort.column} ${this.#sort.descending ? 'descending' : 'ascending'}` };
  }
}
