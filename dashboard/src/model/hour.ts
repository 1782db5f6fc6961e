/**
 * The last hour of a symbol, minute by minute: what a row's line is drawn from, and its volume.
 *
 * Promises: minutes ascend, each once; there are never more of them than an hour has; a minute whose bar is known has that
 * bar's close and volume, whichever way the bar came.
 */

import type { Bar } from './bar';

/** Minutes that a line covers: at its width an hour is readable. */
export const HOUR_MINUTES = 60;

/** The window whose bars make it. */
export const HOUR_WINDOW = '1min';

export interface Minute {
  /** Minutes since the epoch. */
  readonly minute: number;
  readonly close: number;
  /** What was traded; `null` until the minute's bar has closed. */
  readonly volume: number | null;
  /** Revision of that bar; -1 until it has closed. */
  readonly revision: number;
}

export type Hour = readonly Minute[];

/** The minute that a bar of [HOUR_WINDOW] stands for. */
export function minuteOf(bar: Bar): number {
  return Math.floor(bar.start / 60);
}

/** Takes a trade; one that is older than the newest minute changes no close. */
export function withTrade(hour: Hour, minute: number, price: number): Hour {
  const newest = hour.at(-1);
  if (newest !== undefined && minute < newest.minute) return hour;
  if (newest?.minute === minute) return newest.close === price ? hour : [...hour.slice(0, -1), { ...newest, close: price }];
  return bounded([...hour, { minute, close: price, volume: null, revision: OPEN }]);
}

/** Takes a bar that closed, was amended or became void; a forming one tells nothing that its trades do not. */
export function withBar(hour: Hour, bar: Bar): Hour {
  if (bar.state === 'forming') return hour;
  const minute = minuteOf(bar);
  const at = hour.findIndex((held) => held.minute >= minute);
  const before = at < 0 ? hour : hour.slice(0, at);
  const behind = at < 0 ? [] : hour.slice(hour[at]?.minute === minute ? at + 1 : at);
  const own = bar.state === 'void' ? [] : [ofBar(bar)];
  return bounded([...before, ...own, ...behind]);
}

/** Takes bars of the history, in any order. A bar that the live feed has in a later revision stays, and so do newer prices. */
export function withBars(hour: Hour, bars: readonly Bar[]): Hour {
  const minutes = new Map<number, Minute>();
  for (const bar of bars) {
    if (bar.state !== 'void') minutes.set(minuteOf(bar), ofBar(bar));
  }
  for (const live of hour) {
    const known = minutes.get(live.minute);
    const isNewer = known === undefined || live.revision > known.revision || known.revision === OPEN;
    if (isNewer) minutes.set(live.minute, live);
  }
  return bounded([...minutes.values()].sort((a, b) => a.minute - b.minute));
}

/** Revision of a minute whose bar has not closed. */
const OPEN = -1;

function ofBar(bar: Bar): Minute {
  const isOpen = bar.state === 'forming';
  return { minute: minuteOf(bar), close: bar.close, volume: isOpen ? null : bar.volume, revision: isOpen ? OPEN : bar.revision };
}

function bounded(minutes: readonly Minute[]): Hour {
  return minutes.length > HOUR_MINUTES ? minutes.slice(-HOUR_MINUTES) : minutes;
}

/** The minutes of the hour that ends with the minute `now`. */
export function within(hour: Hour, now: number): Hour {
  const first = now - HOUR_MINUTES + 1;
  const oldest = hour[0];
  return oldest === undefined || oldest.minute >= first ? hour : hour.filter(({ minute }) => minute >= first);
}

/** Where a line ends as compared with where it begins: what its colour says. */
export function trendOf(hour: Hour): -1 | 0 | 1 {
  const [first, last] = [hour[0], hour.at(-1)];
  return first === undefined || last === undefined ? 0 : (Math.sign(last.close - first.close) as -1 | 0 | 1);
}

/** What was traded in the minutes whose bars are known. */
export function volumeOf(hour: Hour): number {
  let sum = 0;
  for (const { volume } of hour) sum += volume ?? 0;
  return sum;
}
