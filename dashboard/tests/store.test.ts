import { describe, expect, test } from 'vitest';
import type { EpochMillis, Price } from '../src/helpers/nominal';
import type { FeedState } from '../src/model/feed-state';
import type { Latest, Tick } from '../src/model/message';
import type { Indicators } from '../src/model/indicators';
import { BARS_MAX, Store } from '../src/model/store';
import { changeOf, emptyRow, shownFeed, withLatest, withTick } from '../src/model/watchlist';
import { bar } from './support';

const NOON = 1_795_435_200_000;
const tick = (price: number, millis: number, seq: number | null = null): Tick => ({
  kind: 'tick',
  symbol: 'AAPL',
  price: price as Price,
  volume: 1,
  time: (NOON + millis) as EpochMillis,
  seq,
});
const latest = (price: number, millis: number, change: number): Latest => ({
  kind: 'latest',
  symbol: 'AAPL',
  price: price as Price,
  time: (NOON + millis) as EpochMillis,
  feed: 'live',
  change,
});

function shown(): Store {
  const store = new Store();
  store.setSymbols(['AAPL', 'MSFT']);
  store.select({ symbol: 'AAPL', window: '1min' });
  store.takeChanges();
  return store;
}

describe('bars', () => {
  test('only those of the selection are drawn; each is named once a frame', () => {
    const store = shown();
    for (const volume of [1, 2, 3]) store.apply({ kind: 'bar', symbol: 'AAPL', window: '1min', bar: bar(0, { state: 'forming', volume }), seq: 1 });
    store.apply({ kind: 'bar', symbol: 'AAPL', window: '5min', bar: bar(5), seq: 1 });
    store.apply({ kind: 'bar', symbol: 'MSFT', window: '1min', bar: bar(6), seq: 1 });
    expect(store.series.length).toBe(1);
    expect(store.takeChanges().bars).toEqual(new Set([bar(0).start]));
    expect(store.takeChanges().bars).toEqual(new Set());
  });

  test('a page in the background gathers a bounded list of changes', () => {
    const store = shown();
    for (let minute = 0; minute < 1000; minute += 1) {
      store.apply({ kind: 'bar', symbol: 'AAPL', window: '1min', bar: bar(minute), seq: minute });
      store.apply({ kind: 'indicators', symbol: 'AAPL', window: '1min', indicators: { end: bar(minute).end, values: {} as Indicators['values'] }, seq: minute });
    }
    expect(store.takeChanges()).toMatchObject({ bars: 'all', indicators: 'all' });
    store.apply({ kind: 'indicators', symbol: 'AAPL', window: '1min', indicators: { end: bar(3).end, values: {} as Indicators['values'] }, seq: 1001 });
    expect(store.takeChanges().indicators).toEqual(new Set([bar(3).end]));
  });

  test('bars beyond the limit go with their indicators', () => {
    const store = shown();
    let dropped = 0;
    for (let minute = 0; minute < BARS_MAX + 5000; minute += 1) {
      store.apply({ kind: 'indicators', symbol: 'AAPL', window: '1min', indicators: { end: bar(minute).end, values: {} as Indicators['values'] }, seq: minute });
      dropped += Number(store.apply({ kind: 'bar', symbol: 'AAPL', window: '1min', bar: bar(minute), seq: minute }).dropped);
    }
    expect(dropped).toBeGreaterThan(0);
    expect(store.series.length).toBeLessThan(BARS_MAX + 1001);
    expect(store.indicators.size).toBe(store.series.length);
    expect(store.series.newest?.start).toBe(bar(BARS_MAX + 4999).start);
  });

  test('another epoch empties what belongs to the old log', () => {
    const store = shown();
    expect(store.apply({ kind: 'subscription', epoch: 'a', unknown: [] }).newEpoch).toBe(false);
    store.apply({ kind: 'bar', symbol: 'AAPL', window: '1min', bar: bar(0), seq: 8 });
    expect(store.apply({ kind: 'subscription', epoch: 'a', unknown: [] }).newEpoch).toBe(false);
    expect(store.series.length).toBe(1);
    expect(store.apply({ kind: 'subscription', epoch: 'b', unknown: [] }).newEpoch).toBe(true);
    expect(store.series.length).toBe(0);
    expect(store.seqs.size).toBe(0);
    expect(store.takeChanges().bars).toBe('all');
  });
});

describe('ticks', () => {
  test('a repeated number is no new tick', () => {
    const store = shown();
    store.apply(tick(10, 0, 5));
    store.apply(tick(99, 1, 5));
    store.apply(tick(98, 1, 4));
    expect(store.rows.get('AAPL')?.last).toBe(10);
    store.apply(tick(11, 2, 6));
    expect(store.rows.get('AAPL')?.last).toBe(11);
    expect(store.seqs.get('ticks:AAPL')).toBe(6);
  });

  test('a snapshot holds whatever was heard before', () => {
    const store = shown();
    store.apply(tick(10, 0, 50));
    store.apply({ kind: 'snapshot', epoch: null, messages: [tick(12, 5, 3)] });
    expect(store.rows.get('AAPL')?.last).toBe(12);
    expect(store.seqs.get('ticks:AAPL')).toBe(3);
  });

  test('a symbol nobody named before gets its row', () => {
    const store = shown();
    store.apply({ ...tick(1, 0), symbol: 'ABNB' });
    expect(store.symbols).toEqual(['AAPL', 'ABNB', 'MSFT']);
  });
});

describe('rows', () => {
  test('change counts from the reference of the server and follows ticks', () => {
    let row = withLatest(emptyRow('AAPL'), latest(110, 0, 10));
    row = withTick(row, tick(105, 10));
    expect(changeOf(row)).toEqual({ amount: 5, percent: 5 });
    expect(row.direction).toBe(-1);
  });

  test('an older tick does not move a price', () => {
    const row = withTick(emptyRow('AAPL'), tick(10, 100));
    expect(withTick(row, tick(9, 50)).last).toBe(10);
  });

  test('with a new day the last price of the day before is the reference', () => {
    let row = withLatest(emptyRow('AAPL'), latest(110, 0, 10));
    row = withTick(row, tick(120, 13 * 3_600_000));
    expect(row.reference).toBe(110);
  });

  test('a tick says nothing of its source unless the server does; a feed state alone moves no price', () => {
    let row = withTick(emptyRow('AAPL'), tick(10, 0));
    expect(row.feed).toBeNull();
    row = withLatest(row, { kind: 'latest', symbol: 'AAPL', price: null, time: null, feed: 'dead' });
    expect([row.feed, row.last]).toEqual(['dead', 10]);
    expect(withTick(row, tick(11, 5)).feed).toBe('dead');
    expect(withTick(row, { ...tick(11, 5), feed: 'live' }).feed).toBe('live');
  });

  test('a snapshot of a dead symbol shows it dead, also where its tick is known', () => {
    const store = shown();
    const old = { ...tick(10, 0, 5), feed: 'dead' as const };
    for (let time = 0; time < 2; time += 1) {
      store.apply({ kind: 'snapshot', epoch: null, messages: [old] });
      expect(store.rows.get('AAPL')).toMatchObject({ last: 10, feed: 'dead' });
    }
  });

  test('what is shown of a source follows the server’s word and the age of the last tick', () => {
    const row = withTick(emptyRow('AAPL'), tick(10, 0));
    const shownAfter = (feed: FeedState | null, seconds: number): string => shownFeed({ ...row, feed }, (NOON + seconds * 1000) as EpochMillis);
    expect(shownFeed(emptyRow('AAPL'), NOON as EpochMillis)).toBe('unknown');
    expect([shownAfter(null, 9), shownAfter(null, 11)]).toEqual(['live', 'silent']);
    expect([shownAfter('live', 12), shownAfter('live', 16), shownAfter('live', 2601 * 86_400)]).toEqual(['live', 'silent', 'silent']);
    for (const feed of ['quiet', 'stale', 'dead'] as const) expect(shownAfter(feed, 2601 * 86_400)).toBe(feed);
  });

  test('prices of history give a row its digits before the first tick does', () => {
    const store = shown();
    store.mergeBars([bar(0, { low: 1.17615 as Price })], store.series.mark);
    expect(store.rows.get('AAPL')?.decimals).toBe(5);
    store.apply(tick(1.2, 0));
    expect(store.rows.get('AAPL')?.decimals).toBe(5);
  });
});
