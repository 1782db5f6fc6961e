import { describe, expect, test } from 'vitest';

import { Store } from '../src/model/store';
import { readView, writeView } from '../src/model/view';
import { explain } from '../src/model/way-back';
import { bar } from './support';

describe('the address', () => {
  test.each([
    { symbol: 'AAPL', window: '5min', overlays: ['sma_20', 'ema_12'], panes: ['rsi'], page: 'chart' as const },
    { symbol: 'X:BTC/USD?#&=,', window: '1min', overlays: [], panes: [], page: 'system' as const },
    { symbol: 'AAPL', window: '1min', overlays: [], panes: ['rsi'], page: 'alerts' as const },
    { symbol: 'ÄÖ %', window: '1d', overlays: ['a,b'], panes: ['c&d=e'], page: 'chart' as const },
  ])('%j is read as it was written', (view) => {
    expect(readView(writeView(view))).toEqual(view);
  });

  test.each([
    ['', undefined, undefined],
    ['#', undefined, undefined],
    ['#/', undefined, undefined],
    ['#/AAPL', 'AAPL', undefined],
    ['#/AAPL/', 'AAPL', undefined],
    ['#/BTC%2FUSD/5min', 'BTC/USD', '5min'],
    ['#/%E0%A4%A/5min', undefined, '5min'],
    ['#/AAPL/5min/more', 'AAPL', '5min'],
  ])('%j: what is left out or unreadable is undefined', (hash, symbol, window) => {
    expect(readView(hash)).toEqual({ symbol, window, overlays: undefined, panes: undefined, page: 'chart' });
  });

  test('lists that are empty differ from lists that are left out', () => {
    expect(readView('#/A/1min?overlays=&panes')).toMatchObject({ overlays: [], panes: [] });
    expect(readView('#/A/1min?overlays=x,,x,%ZZ,y&other=1')).toMatchObject({ overlays: ['x', 'y'], panes: undefined });
  });
});

describe('a chart without bars', () => {
  const LAST = { symbol: 'MSFT', window: '5min' };

  function storeOf(symbol: string, window: string): Store {
    const store = new Store();
    store.setServed(['AAPL', 'MSFT'], ['1min', '5min']);
    store.select({ symbol, window });
    return store;
  }

  test('says nothing where there are bars', () => {
    const store = storeOf('AAPL', '1min');
    store.mergeBars([bar(0)], store.series.mark);
    expect(explain(store, LAST)).toBeUndefined();
  });

  test('waits, and says for what', () => {
    const store = storeOf('AAPL', '1min');
    expect(explain(store, LAST)).toEqual({ text: 'Loading…', ways: [] });
    store.setHistory('ready');
    expect(explain(store, LAST)).toEqual({ text: 'No bars yet. The first trade makes one.', ways: [] });
    store.setHistory('failed', { code: 'unreachable', text: 'no answer' });
    expect(explain(store, LAST)).toEqual({ text: 'No history: no answer', ways: [] });
  });

  test('leads from an unknown symbol to the one shown last, else to the first', () => {
    const store = storeOf('NOPE', '1min');
    store.setHistory('failed', { code: 'unknown_symbol', text: 'there is no `NOPE`' });
    expect(explain(store, LAST)).toEqual({ text: 'There is no symbol “NOPE”.', ways: [{ symbol: 'MSFT', window: '1min', text: 'Show MSFT, 1min' }] });
    expect(explain(store, { symbol: 'GONE', window: null })?.ways).toEqual([{ symbol: 'AAPL', window: '1min', text: 'Show AAPL, 1min' }]);
  });

  test('leads from an unknown window to one that there is', () => {
    const store = storeOf('AAPL', '7min');
    expect(explain(store, LAST)).toEqual({ text: 'There is no window “7min”.', ways: [{ symbol: 'AAPL', window: '5min', text: 'Show AAPL, 5min' }] });
  });

  test('names both faults where there are two', () => {
    const store = storeOf('NOPE', '7min');
    store.setHistory('failed', { code: 'bad_parameter', text: 'no window' });
    expect(explain(store, LAST)).toEqual({ text: 'There is no symbol “NOPE” and no window “7min”.', ways: [{ symbol: 'MSFT', window: '5min', text: 'Show MSFT, 5min' }] });
  });

  test('offers nothing that is not there', () => {
    const store = new Store();
    expect(explain(store, LAST)?.ways).toEqual([]);
    store.select({ symbol: 'NOPE', window: '1min' });
    store.setHistory('failed', { code: 'unknown_symbol', text: '' });
    expect(explain(store, LAST)?.ways).toEqual([]);
  });
});
