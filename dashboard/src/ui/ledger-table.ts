/**
 * What became of the reports of each symbol, as a table: those that need looking at first. Promises: a bounded number of
 * rows, however many symbols there are; the rest is found by the filter; rows keep their places under the pointer.
 */

import { counted, fixed } from '../helpers/format';
import { LEDGER_FIELDS, type LedgerCounts, type LedgerField, ledgerOrder, type System } from '../model/system';
import { element, setText } from './dom';

const ROWS_MAX = 100;

const HEADS: Readonly<Record<LedgerField, readonly [text: string, title: string]>> = {
  received: ['Received', 'Reports that came in: trades, cancels, corrections'],
  in_bars: ['In bars', 'Reports that count in at least one window'],
  filtered: ['Filtered', 'Reports that count for nothing, or whose source is not in charge'],
  late: ['Late', 'Reports that came after their windows were sealed'],
  duplicate: ['Duplicate', 'Reports that repeat another one'],
  rejected: ['Rejected', 'Reports that were not accepted'],
  cancelled: ['Cancelled', 'Cancels, the trades they took out, and trades that a correction replaced'],
  residue: ['Residue', 'Reports received less all that is accounted for: 0 means that none is lost'],
};

const FEED_TEXT = 'Feed';

interface RowParts {
  readonly root: HTMLElement;
  readonly symbol: HTMLElement;
  readonly feed: HTMLElement;
  readonly cells: readonly HTMLElement[];
}

export class LedgerTable {
  readonly root: HTMLElement;
  readonly #body = element('tbody');
  readonly #total = this.#makeRow('All symbols');
  readonly #rows: RowParts[] = [];
  readonly #filter = element('input', { type: 'search', class: 'system-filter', placeholder: 'Filter symbols', 'aria-label': 'Filter symbols of the ledger', spellcheck: 'false' });
  readonly #count = element('p', { class: 'system-note', role: 'status' });
  #order: readonly string[] = [];
  #isPointedAt = false;

  constructor(private readonly system: System) {
    const head = element('tr', {}, element('th', { scope: 'col' }, 'Symbol'), element('th', { scope: 'col', title: 'State of the source' }, FEED_TEXT));
    for (const field of LEDGER_FIELDS) {
      const [text, title] = HEADS[field];
      head.append(element('th', { scope: 'col', title }, text, ...(field === 'residue' ? [element('span', { class: 'system-sub' }, 'not accounted for')] : [])));
    }
    const table = element('table', { class: 'ledger' }, element('caption', { class: 'visually-hidden' }, 'Ledger by symbol'), element('thead', {}, head), element('tbody', { class: 'ledger-total' }, this.#total.root), this.#body);
    this.root = element(
      'section',
      { class: 'system-card system-wide', 'aria-label': 'Ledger' },
      element('div', { class: 'system-card-head' }, element('h3', {}, 'Ledger by symbol'), this.#filter),
      element('div', { class: 'system-scroll', tabindex: '0', role: 'group', 'aria-label': 'Ledger by symbol, scrolls' }, table),
      this.#count,
    );
    this.#filter.addEventListener('input', () => {
      this.#order = [];
      this.draw();
    });
    this.#body.addEventListener('pointerenter', (event) => {
      this.#isPointedAt = event.pointerType === 'mouse';
    });
    this.#body.addEventListener('pointerleave', () => {
      this.#isPointedAt = false;
    });
  }

  draw(): void {
    const { ledgers, now } = this.system;
    if (!this.#isPointedAt || this.#order.length === 0) this.#order = ledgerOrder(ledgers, this.#filter.value);
    const shown = this.#order.slice(0, ROWS_MAX);
    while (this.#rows.length < shown.length) {
      const row = this.#makeRow('');
      this.#rows.push(row);
      this.#body.append(row.root);
    }
    this.#rows.forEach((row, index) => {
      const symbol = shown[index];
      const held = symbol === undefined ? undefined : ledgers.get(symbol);
      row.root.hidden = held === undefined;
      if (symbol === undefined || held === undefined) return;
      setText(row.symbol, symbol);
      fill(row, held.feed ?? '–', held.ledger);
    });
    if (now !== null) fill(this.#total, '', now.ledger);
    const some = this.#order.length > shown.length ? `${counted(shown.length, 'symbol')} of ${fixed(this.#order.length, 0)}: filter to see others` : counted(shown.length, 'symbol');
    setText(this.#count, this.#order.length === 0 && this.#filter.value !== '' ? `No symbol fits “${this.#filter.value}”` : some);
  }

  /** What is shown, for tests. */
  texts(): Record<string, string>[] {
    return [this.#total, ...this.#rows.filter(({ root }) => !root.hidden)].map((row) => ({
      symbol: row.symbol.textContent,
      feed: row.feed.textContent,
      ...Object.fromEntries(LEDGER_FIELDS.map((field, index) => [field, row.cells[index]?.textContent ?? ''])),
    }));
  }

  #makeRow(name: string): RowParts {
    const symbol = element('th', { scope: 'row' }, name);
    const feed = element('td', { class: 'ledger-feed' });
    const cells = LEDGER_FIELDS.map((field) => element('td', { 'data-field': field }));
    return { root: element('tr', {}, symbol, feed, ...cells), symbol, feed, cells };
  }
}

function fill(row: RowParts, feed: string, ledger: LedgerCounts): void {
  setText(row.feed, feed);
  row.feed.dataset['feed'] = feed;
  LEDGER_FIELDS.forEach((field, index) => {
    const cell = row.cells[index];
    if (cell === undefined) return;
    setText(cell, fixed(ledger[field], 0));
    if (field === 'residue') cell.dataset['level'] = ledger.residue === 0 ? 'good' : 'bad';
    else if (field === 'rejected' || field === 'late') cell.dataset['level'] = ledger[field] === 0 ? '' : 'news';
  });
}
