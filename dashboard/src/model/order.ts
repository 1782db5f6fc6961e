/**
 * The order of the watchlist: pinned symbols first, both parts by the chosen column. What is not known stands last,
 * whichever way the list is sorted; equals stand by name.
 */

import type { Column, Sort } from './preferences';
import { changeOf, type Row, volumeOfRow } from './watchlist';

/** Orders symbols. `now` is the present minute since the epoch. */
export function orderSymbols(symbols: readonly string[], rows: ReadonlyMap<string, Row>, sort: Sort, pins: ReadonlySet<string>, now: number): string[] {
  const key = (symbol: string): number | null => valueOf(rows.get(symbol), sort.column, now);
  const keyed = symbols.map((symbol) => ({ symbol, value: key(symbol), isPinned: pins.has(symbol) }));
  const sign = sort.descending ? -1 : 1;
  keyed.sort((a, b) => {
    if (a.isPinned !== b.isPinned) return a.isPinned ? -1 : 1;
    if (sort.column === 'symbol') return sign * byName(a.symbol, b.symbol);
    if (a.value !== b.value) {
      if (a.value === null) return 1;
      if (b.value === null) return -1;
      return sign * (a.value - b.value);
    }
    return byName(a.symbol, b.symbol);
  });
  return keyed.map(({ symbol }) => symbol);
}

function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function valueOf(row: Row | undefined, column: Column, now: number): number | null {
  if (row === undefined) return null;
  switch (column) {
    case 'symbol':
      return null;
    case 'last':
      return row.last;
    case 'change':
      return changeOf(row)?.percent ?? null;
    case 'volume':
      return volumeOfRow(row, now);
  }
}

/** The order after a click on a column's head: the other way round, or by that column, largest first where it has numbers. */
export function nextSort(sort: Sort, column: Column): Sort {
  return sort.column === column ? { column, descending: !sort.descending } : { column, descending: column !== 'symbol' };
}
