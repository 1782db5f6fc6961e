/**
 * One row per symbol: last price, change, a sparkline of recent closes, and the state of its source.
 *
 * Promises: a row never goes back in event time; memory per row is bounded.
 */

import { decimalsOf } from '../helpers/format';
import type { EpochMillis, Price } from '../helpers/nominal';
import { utcDay } from '../helpers/time';
import type { FeedState, Latest, Tick } from './message';

/** Minutes that a sparkline covers: at its width an hour is readable. */
export const SPARK_POINTS = 60;

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
  /** Closes by minute, oldest first; the last one moves with the price. */
  readonly spark: readonly number[];
  /** Minute since the epoch that the last point stands for. */
  readonly sparkMinute: number | null;
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
    spark: [],
    sparkMinute: null,
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
  const minute = Math.floor(time / 60_000);
  const extended =
    row.sparkMinute === null || minute > row.sparkMinute ? [...row.spark, price] : [...row.spark.slice(0, -1), price];
  return {
    ...row,
    last: price,
    reference: newDay ? row.last : (row.reference ?? price),
    time,
    direction: row.last === null || price === row.last ? row.direction : price > row.last ? 1 : -1,
    decimals: Math.max(row.decimals, decimalsOf(price)),
    spark: extended.slice(-SPARK_POINTS),
    sparkMinute: Math.max(minute, row.sparkMinute ?? minute),
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

/** Puts closes from history before the points from ticks; `minute` is that of the last close. */
export function withHistory(row: Row, closes: readonly number[], minute: number): Row {
  if (closes.length === 0) return row;
  const live = row.sparkMinute === null ? 0 : Math.min(row.spark.length, Math.max(0, row.sparkMinute - minute));
  const spark = [...closes, ...(live === 0 ? [] : row.spark.slice(-live))].slice(-SPARK_POINTS);
  if (live === 0 && row.last !== null && row.sparkMinute === minute) spark[spark.length - 1] = row.last;
  return withDecimals({ ...row, spark, sparkMinute: Math.max(minute, row.sparkMinute ?? minute) }, closes);
}
