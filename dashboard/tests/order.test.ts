import { describe, expect, test } from 'vitest';

import type { EpochMillis, Price } from '../src/helpers/nominal';
import { minuteOf } from '../src/model/hour';
import { nextSort, orderSymbols } from '../src/model/order';
import { COLUMNS, type Column, type Sort } from '../src/model/preferences';
import { Store } from '../src/model/store';
import { bar } from './support';

const NOW = minuteOf(bar(10));

/** Symbols with price, change and volume; of D nothing is known. */
function storeOf(): Store {
  const store = new Store();
  store.setSymbols(['A', 'B', 'C', 'D']);
  const put = (symbol: string, price: number, change: number, volume: number): void => {
    store.putHour(symbol, [bar(9, { volume, close: price as Price })]);
    store.apply({ kind: 'latest', symbol, price: price as Price, time: (NOW * 60_000) as EpochMillis, feed: 'live', change });
  };
  put('A', 100, 5, 30);
  put('B', 10, 5, 10);
  put('C', 1000, -1, 20);
  return store;
}

const ordered = (sort: Sort, pins: readonly string[] = []): string => {
  const store = storeOf();
  return orderSymbols(store.symbols, store.rows, sort, new Set(pins), NOW).join('');
};

describe('the order of the list', () => {
  test.each<[Column, string, string]>([
    ['symbol', 'ABCD', 'DCBA'],
    ['last', 'BACD', 'CABD'],
    ['change', 'CABD', 'BACD'],
    ['volume', 'BCAD', 'ACBD'],
  ])('by %s it is %s, and the other way round %s: what is not known is last both ways', (column, up, down) => {
    expect(ordered({ column, descending: false })).toBe(up);
    expect(ordered({ column, descending: true })).toBe(down);
  });

  test('every column can be sorted by', () => {
    for (const column of COLUMNS) expect(ordered({ column, descending: false })).toHaveLength(4);
  });

  test('pinned symbols stand first, in the same order; a pin that is no symbol does no harm', () => {
    expect(ordered({ column: 'symbol', descending: false }, ['D', 'C', 'GONE'])).toBe('CDAB');
    expect(ordered({ column: 'volume', descending: true }, ['B', 'C'])).toBe('CBAD');
  });

  test('equals stand by name', () => {
    const store = new Store();
    store.setSymbols(['B', 'A', 'C']);
    for (const symbol of ['C', 'A', 'B']) store.apply({ kind: 'latest', symbol, price: 5 as Price, time: 0 as EpochMillis, feed: 'live', change: 0 });
    for (const descending of [false, true]) expect(orderSymbols(store.symbols, store.rows, { column: 'last', descending }, new Set(), NOW)).toEqual(['A', 'B', 'C']);
  });

  test('a head sorts by its column, largest first where it has numbers, and the other way when pressed again', () => {
    const byName: Sort = { column: 'symbol', descending: false };
    expect(nextSort(byName, 'change')).toEqual({ column: 'change', descending: true });
    expect(nextSort({ column: 'change', descending: true }, 'change')).toEqual({ column: 'change', descending: false });
    expect(nextSort({ column: 'change', descending: true }, 'symbol')).toEqual(byName);
    expect(nextSort(byName, 'symbol')).toEqual({ column: 'symbol', descending: true });
  });
});
