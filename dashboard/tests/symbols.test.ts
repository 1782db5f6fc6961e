import { expect, test } from 'vitest';
import { findSymbol, searchSymbols } from '../src/model/symbols';
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

const NUMBERED = Array.from({ length: 1200 }, (_, index) => `SYM${String(index).padStart(4, '0')}`);

test.each([
  ['s05', 'SYM0005'],
  ['s5', 'SYM0005'],
  ['sym17', 'SYM0017'],
  ['m0005', 'SYM0005'],
  ['s1199', 'SYM1199'],
])('%s finds %s first among those that only have its characters in this order', (query, first) => {
  expect(searchSymbols(NUMBERED, query, 12)[0]).toBe(first);
});

test('a symbol that contains what is typed stands before one that has it in pieces', () => {
  expect(searchSymbols(['BRXK', 'ABRK', 'BRKX', 'BRK'], 'brk', 10)).toEqual(['BRK', 'BRKX', 'ABRK', 'BRXK']);
  expect(searchSymbols(['ABC'], 'cba', 10)).toEqual([]);
  expect(searchSymbols(['ABC'], 'aab', 10)).toEqual([]);
});

test.each([
  ['AAPL', 'AAPL'],
  ['aapl', 'AAPL'],
  ['x:btc/usd', 'BTC-USD'],
  ['BTC', undefined],
  ['', undefined],
  ['---', undefined],
])('the name %j stands for %j', (name, symbol) => {
  expect(findSymbol(SYMBOLS, name)).toBe(symbol);
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
