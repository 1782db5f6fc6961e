import { describe, expect, test } from 'vitest';

import type { EpochMillis, Price } from '../src/helpers/nominal';
import type { Bar } from '../src/model/bar';
import { type Hour, HOUR_MINUTES, minuteOf, trendOf, volumeOf, withBar, withBars, within, withTrade } from '../src/model/hour';
import { Store } from '../src/model/store';
import { changeOf, volumeOfRow } from '../src/model/watchlist';
import { bar, random } from './support';

const FIRST = minuteOf(bar(0));
const closed = (minute: number, close: number, volume: number, changes: Partial<Bar> = {}): Bar => bar(minute, { close: close as Price, volume, ...changes });
const closes = (hour: Hour): number[] => hour.map(({ close }) => close);

describe('the last hour', () => {
  test('has a point a minute, moves with the price, and is bounded', () => {
    let hour: Hour = [];
    for (let minute = 0; minute < 100; minute += 1) {
      hour = withTrade(hour, minute, minute);
      hour = withTrade(hour, minute, minute + 0.5);
      // An older trade changes nothing.
      expect(withTrade(hour, minute - 1, 7)).toBe(hour);
    }
    expect(hour).toHaveLength(HOUR_MINUTES);
    expect(closes(hour).slice(-2)).toEqual([98.5, 99.5]);
  });

  test('history and live minutes join without a doubled or missing one', () => {
    let hour = withTrade(withTrade([], FIRST + 3, 20), FIRST + 4, 21);
    hour = withBars(hour, [closed(4, 20.5, 0, { state: 'forming' }), closed(3, 19.9, 8), closed(2, 18, 5), closed(1, 17, 4)]);
    expect(hour.map(({ minute, close, volume }) => [minute - FIRST, close, volume])).toEqual([[1, 17, 4], [2, 18, 5], [3, 19.9, 8], [4, 21, null]]);
  });

  test('a bar that closes gives its minute volume and close; amended and void ones count too', () => {
    let hour = withTrade(withTrade([], FIRST, 10), FIRST + 1, 11);
    hour = withBar(hour, closed(0, 10.2, 100));
    expect(volumeOf(hour)).toBe(100);
    hour = withBar(hour, closed(0, 10.4, 150, { state: 'amended', revision: 1 }));
    expect([volumeOf(hour), hour[0]?.close]).toEqual([150, 10.4]);
    // A page of history that was asked for before the change.
    expect(withBars(hour, [closed(0, 10.2, 100)])[0]).toMatchObject({ close: 10.4, volume: 150 });
    expect(withBar(hour, closed(1, 11, 5, { state: 'forming' }))).toBe(hour);
    expect(withBar(hour, closed(0, 0, 0, { state: 'void', revision: 2 })).map(({ minute }) => minute)).toEqual([FIRST + 1]);
    // A bar in the middle that nothing was known of.
    expect(withBar(withBar([], closed(5, 1, 1)), closed(3, 2, 2)).map(({ minute }) => minute - FIRST)).toEqual([3, 5]);
  });

  test('minutes older than an hour are not in it, whenever the symbol traded last', () => {
    const hour = withBars([], [closed(0, 10, 1), closed(1, 11, 2), closed(59, 12, 4)]);
    expect(volumeOf(within(hour, FIRST + 59))).toBe(7);
    expect(volumeOf(within(hour, FIRST + 60))).toBe(6);
    expect(within(hour, FIRST + 500)).toEqual([]);
  });

  test('in whatever order bars come, minutes ascend and each is there once', () => {
    for (let seed = 1; seed < 50; seed += 1) {
      const draw = random(seed);
      let hour: Hour = [];
      for (let step = 0; step < 200; step += 1) {
        const minute = Math.floor(draw() * 90);
        if (draw() < 0.5) hour = withTrade(hour, FIRST + minute, draw());
        else if (draw() < 0.8) hour = withBar(hour, closed(minute, draw(), 1, draw() < 0.1 ? { state: 'void' } : {}));
        else hour = withBars(hour, [closed(minute, draw(), 1), closed(minute + 1, draw(), 1)]);
        expect(hour.every((held, index) => index === 0 || held.minute > (hour[index - 1]?.minute ?? 0)), `seed ${seed}`).toBe(true);
        expect(hour.length).toBeLessThanOrEqual(HOUR_MINUTES);
      }
    }
  });
});

describe('a row', () => {
  test('the line is coloured by what it shows, which may be the other way than the day', () => {
    const store = new Store();
    store.setSymbols(['AAPL']);
    const time = (FIRST * 60_000 + 59 * 60_000) as EpochMillis;
    store.putHour('AAPL', [closed(0, 90, 1), closed(30, 95, 1)]);
    store.apply({ kind: 'latest', symbol: 'AAPL', price: 96 as Price, time, feed: 'live', change: -10 });
    const row = store.rows.get('AAPL');
    expect(row).toBeDefined();
    if (row === undefined) return;
    expect(changeOf(row)?.amount).toBe(-10);
    expect(trendOf(within(row.hour, FIRST + 59))).toBe(1);
    expect([trendOf([]), trendOf(withTrade([], 1, 5))]).toEqual([0, 0]);
  });

  test('its volume is unknown until its history is, and then follows the bars that close', () => {
    const store = new Store();
    store.setSymbols(['AAPL']);
    const volume = (): number | null => volumeOfRow(store.rows.get('AAPL') ?? expect.fail('no row'), FIRST + 10);
    store.apply({ kind: 'bar', symbol: 'AAPL', window: '1min', bar: closed(9, 10, 30), seq: 9 });
    expect(volume()).toBeNull();
    store.putHour('AAPL', [closed(8, 10, 20), closed(7, 10, 10)]);
    expect(volume()).toBe(60);
    store.apply({ kind: 'bar', symbol: 'AAPL', window: '1min', bar: closed(10, 10, 5), seq: 10 });
    store.apply({ kind: 'bar', symbol: 'AAPL', window: '5min', bar: closed(10, 10, 500), seq: 2 });
    expect(volume()).toBe(65);
    expect(store.rows.has('MSFT')).toBe(false);
    store.apply({ kind: 'bar', symbol: 'MSFT', window: '1min', bar: closed(10, 10, 5), seq: 1 });
    expect(store.rows.has('MSFT'), 'a bar of a symbol without a row makes none').toBe(false);
  });
});
