/** The price that header, title and label share. */

import { expect, test } from 'vitest';
import type { EpochMillis, Price } from '../src/helpers/nominal';
import { priceNow } from '../src/model/price';
import { Store } from '../src/model/store';
import { bar } from './support';

test('it is the newest tick’s; before the first tick the newest bar’s; another symbol’s never', () => {
  const store = new Store();
  expect(priceNow(store)).toBeNull();
  store.setSymbols(['AAPL', 'MSFT']);
  store.select({ symbol: 'AAPL', window: '1min' });
  expect(priceNow(store)).toBeNull();
  store.mergeBars([bar(0), bar(1, { close: 107.5 as Price })], 0);
  expect(priceNow(store)).toBe(107.5);
  const tick = (symbol: string, price: number): void => {
    store.apply({ kind: 'tick', symbol, price: price as Price, volume: 1, time: 1_795_435_200_000 as EpochMillis, seq: null });
  };
  tick('MSFT', 400);
  expect(priceNow(store)).toBe(107.5);
  tick('AAPL', 107.25);
  // The bar that forms may be a moment behind, or ahead.
  store.apply({ kind: 'bar', symbol: 'AAPL', window: '1min', bar: bar(2, { state: 'forming', close: 107 as Price }), seq: null });
  expect(priceNow(store)).toBe(107.25);
});
