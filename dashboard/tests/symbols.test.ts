import { expect, test } from 'vitest';
import { searchSymbols } from '../src/model/symbols';
import { windowSeconds } from '../src/model/windows';

const SYMBOLS = ['AAPL', 'BRK.B', 'BTC-USD', 'EUR-USD', 'USDT-BTC', 'WBTC-USD'];

test.each([
  ['aapl', ['AAPL']],
  ['brkb', ['BRK.B']],
  ['btc/usd', ['BTC-USD', 'WBTC-USD']],
  ['X:BTCUSD', ['BTC-USD', 'WBTC-USD']],
  ['btc', ['BTC-USD', 'USDT-BTC', 'WBTC-USD']],
  ['zz', []],
])('%s finds %j', (query, expected) => {
  expect(searchSymbols(SYMBOLS, query, 10)).toEqual(expected);
});

test('nothing typed lists the first ones', () => {
  expect(searchSymbols(SYMBOLS, '', 2)).toEqual(['AAPL', 'BRK.B']);
});

test.each([
  ['30s', 30],
  ['1min', 60],
  ['4h', 14_400],
  ['1d', 86_400],
  ['min', undefined],
  ['0min', undefined],
  ['1fortnight', undefined],
])('window %s lasts %s', (name, seconds) => {
  expect(windowSeconds(name)).toBe(seconds);
});
