/**
 * One row per symbol: last price, change, its last hour, and the state of its source.
 *
 * Promises: a row never goes back in event time; memory per row is bounded.
 */

import { decimalsOf } from '../helpers/format';
import type { EpochMillis, Price } from '../helpers/nominal';
import { utcDay } from '../helpers/time';
import type { Bar } from './bar';
import { type Hour, volumeOf, withBar, withBars, within, withTrade } from './hour';
import type { FeedState } from './feed-state';
import type { Latest, Tick } from './message';

export interface Row {
  readonly symbol: string;
  readonly last: Price | null;
  /** Price that change is counted from: the last one of the UTC day before, as on the server. */
  readonly reference: Price | null;
  readonly time: EpochMillis | null;
  readonly feed: FeedState | null;
  /** Direction of the last change of price. */
  readonly direction: -1 | 0 | 1;
  /** Digits after the point that its prices need. */
  readonly decimals: number;
  /** Its last hour of trading, which may lie back. */
  readonly hour: Hour;
  /** True once the history of the hour is known: before that its volume is not. */
  readonly hasHour: boolean;
}

export function emptyRow(symbol: string): Row {
  return {
    symbol,
    last: null,
    reference: null,
    time: null,
    feed: null,
    direction: 0,
    decimals: 2,
    hour: [],
    hasHour: false,
  };
}

/** Change since the reference, absolute and in percent. */
export function changeOf(row: Row): { readonly amount: number; readonly percent: number } | null {
  if (row.last === null || row.reference === null || row.reference === 0) return null;
  const amount = row.last - row.reference;
  return { amount, percent: (amount / row.reference) * 100 };
}

function withPrice(row: Row, price: Price, time: EpochMillis): Row {
  if (row.time !== null && time < row.time) return row;
  const newDay = row.time !== null && row.last !== null && utcDay(time) > utcDay(row.time);
  return {
    ...row,
    last: price,
    reference: newDay ? row.last : (row.reference ?? price),
    time,
    direction: row.last === null || price === row.last ? row.direction : price > row.last ? 1 : -1,
    decimals: Math.max(row.decimals, decimalsOf(price)),
    hour: withTrade(row.hour, Math.floor(time / 60_000), price),
  };
}

/**
 * A tick that arrives now does not prove that its source is alive: the one in a snapshot may be years old. The server
 * sends the state of the source, in the snapshot and at each change.
 */
export function withTick(row: Row, tick: Tick): Row {
  const next = withPrice(row, tick.price, tick.time);
  return tick.feed === undefined || next.feed === tick.feed ? next : { ...next, feed: tick.feed };
}

/** The state of the source that a row shows: the server's, or `silent` when ticks stopped and the server has not said why. */
export type ShownFeed = FeedState | 'silent' | 'unknown';

/** A symbol that traded within this is live, by the server's rule. */
const LIVE_AGE_MS = 10_000;
/** The server reports within a second that a symbol is no longer live; after this time its last report counts as old. */
const WORD_AGE_MS = 15_000;

/** The state of a row's source to show at a time of the server's clock. */
export function shownFeed(row: Row, now: EpochMillis): ShownFeed {
  const age = row.time === null ? Infinity : now - row.time;
  if (row.feed === null) return row.time === null ? 'unknown' : age <= LIVE_AGE_MS ? 'live' : 'silent';
  return row.feed === 'live' && age > WORD_AGE_MS ? 'silent' : row.feed;
}

export function withLatest(row: Row, latest: Latest): Row {
  let next: Row = { ...row, feed: latest.feed };
  if (latest.price === null || latest.time === null) return next;
  if (row.time !== null && latest.time < row.time) return next;
  if (typeof latest.change === 'number') {
    const decimals = Math.max(next.decimals, decimalsOf(latest.price));
    next = { ...next, decimals, reference: Number((latest.price - latest.change).toFixed(decimals)) as Price };
  }
  return withPrice(next, latest.price, latest.time);
}

/** Widens a row to the digits that these prices need; it never narrows one, so that the column does not jump. */
export function withDecimals(row: Row, prices: readonly number[]): Row {
  let { decimals } = row;
  for (const price of prices) decimals = Math.max(decimals, decimalsOf(price));
  return decimals === row.decimals ? row : { ...row, decimals };
}

/** Takes the bars of the last hour from the history. */
export function withHour(row: Row, bars: readonly Bar[]): Row {
  return withDecimals({ ...row, hour: withBars(row.hour, bars), hasHour: true }, bars.map(({ close }) => close));
}

/** Takes a bar of a minute from the live feed. */
export function withMinute(row: Row, bar: Bar): Row {
  const hour = withBar(row.hour, bar);
  return hour === row.hour ? row : { ...row, hour };
}

/** What was traded in the hour that ends with the minute `now`; `null` while its history is not known. */
export function volumeOfRow(row: Row, now: number): number | null {
  return row.hasHour ? volumeOf(within(row.hour, now)) : null;
}
