/** Makers of test values: a bar a minute, and ways to bend it. */

import type { EpochSeconds, Price } from '../src/helpers/nominal';
import type { Bar } from '../src/model/bar';

/** The bar of a minute, counted from a fixed hour. */
export function bar(minute: number, changes: Partial<Bar> = {}): Bar {
  const start = (1_763_900_400 + minute * 60) as EpochSeconds;
  const price = (100 + minute) as Price;
  return {
    start,
    end: (start + 60) as EpochSeconds,
    open: price,
    high: price,
    low: price,
    close: price,
    volume: 10,
    vwap: price,
    tradeCount: 1,
    state: 'closed',
    revision: 0,
    coverage: 1,
    isVendors: false,
    late: 0,
    duplicates: 0,
    cancelled: 0,
    ...changes,
  };
}

/** A bar as the wire writes it. */
export function wireBar(minute: number, changes: Partial<Bar> = {}): Record<string, unknown> {
  const { start, end, tradeCount, ...rest } = bar(minute, changes);
  return {
    type: 'bar',
    symbol: 'AAPL',
    window: '1min',
    window_start: new Date(start * 1000).toISOString(),
    window_end: new Date(end * 1000).toISOString(),
    trade_count: tradeCount,
    ...rest,
  };
}

/** A seeded source of numbers in [0, 1): a failing case comes back with its seed. */
export function random(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
