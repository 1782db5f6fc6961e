/**
 * Empty stretches of the chart: windows in which a symbol has no bar, and why. Time is drawn to scale, so that an outage
 * looks as long as it was; what is too long for a screen (a night, a weekend, a month without a server) is cut short, and
 * marked as cut.
 *
 * Promises: stretches of one length are treated alike; all together they take a bounded number of places, however rarely
 * a symbol trades.
 */

import type { EpochSeconds } from '../helpers/nominal';
import { type Bar, isPartial } from './bar';
import type { FeedState } from './feed-state';

export type StretchCause =
  /** The source was silent: what was traded is not known. */
  | 'down'
  /** The source was healthy, and nothing was traded. */
  | 'untraded';

/** Windows without a bar, between two bars or behind the newest one. */
export interface Stretch {
  /** End of the bar before: the first instant that is empty. */
  readonly from: EpochSeconds;
  /** Start of the bar after; of an open stretch the end of its last whole window. */
  readonly to: EpochSeconds;
  /** Length of a window in seconds. */
  readonly step: number;
  readonly cause: StretchCause;
  /** True for the one behind the newest bar, which may still grow. */
  readonly isOpen: boolean;
  /** Places on the time scale: one a window, or [CUT_PLACES] where it is cut. */
  readonly places: number;
  readonly isCut: boolean;
}

/** The present, for the stretch behind the newest bar. */
export interface Now {
  readonly time: EpochSeconds;
  /** The state of the symbol's source, as the server reports it. */
  readonly feed: FeedState | null;
}

/** Longest stretch drawn to scale: longer ones are not part of a session, and do not fit a screen. */
const SCALE_SECONDS_MAX = 4 * 3600;
const SCALE_PLACES_MAX = 240;

/** Longest open stretch drawn to scale: the bars before it stay on the screen, even on a phone. */
const OPEN_PLACES_MAX = 30;

/** Places of a cut stretch: enough to be seen, and for its label to fit vertically. */
export const CUT_PLACES = 3;

/** Empty places allowed per bar, and the minimum: with more, the chart of a rarely traded symbol would be mostly empty. */
const PLACES_PER_BAR = 3;
const PLACES_MIN = 1_000;

/** Places that all stretches together may take between this many bars. */
export function placesMax(bars: number): number {
  return Math.max(PLACES_MIN, PLACES_PER_BAR * bars);
}

/** Windows of the longest stretch that is drawn to scale. */
export function scaleLimit(bars: readonly Bar[]): number {
  const first = bars[0];
  if (first === undefined) return SCALE_PLACES_MAX;
  const limit = Math.max(CUT_PLACES, Math.min(SCALE_PLACES_MAX, Math.floor(SCALE_SECONDS_MAX / (first.end - first.start))));
  const lengths: number[] = [];
  for (let index = 1; index < bars.length; index += 1) {
    const windows = emptyBetween(bars[index - 1], bars[index]);
    if (windows > CUT_PLACES && windows <= limit) lengths.push(windows);
  }
  lengths.sort((a, b) => a - b);
  let left = placesMax(bars.length);
  let allowed = CUT_PLACES;
  for (let index = 0; index < lengths.length; ) {
    const length = lengths[index] ?? 0;
    let next = index;
    while (lengths[next] === length) next += 1;
    left -= length * (next - index);
    if (left < 0) return allowed;
    allowed = length;
    index = next;
  }
  return limit;
}

/** Windows between two bars. */
function emptyBetween(before: Bar | undefined, after: Bar | undefined): number {
  if (before === undefined || after === undefined) return 0;
  return Math.round((after.start - before.end) / (before.end - before.start));
}

/** The stretch between two neighbours; `undefined` where none is. */
export function stretchBetween(before: Bar, after: Bar, limit: number): Stretch | undefined {
  const windows = emptyBetween(before, after);
  if (windows < 1) return undefined;
  return stretch(before, after.start, windows, limit, isPartial(before) || isPartial(after), false);
}

/** The stretch from the newest bar until now; `undefined` where no whole window is empty. */
export function stretchUntil(newest: Bar, now: Now, limit: number): Stretch | undefined {
  const step = newest.end - newest.start;
  const windows = Math.floor((now.time - newest.end) / step);
  if (windows < 1) return undefined;
  // The server's report is newer than the coverage of the last bar.
  const isDown = now.feed === null ? isPartial(newest) : now.feed === 'stale' || now.feed === 'dead';
  const to = (newest.end + windows * step) as EpochSeconds;
  return stretch(newest, to, windows, Math.min(limit, OPEN_PLACES_MAX), isDown, true);
}

function stretch(before: Bar, to: EpochSeconds, windows: number, limit: number, isDown: boolean, isOpen: boolean): Stretch {
  const isCut = windows > limit;
  return {
    from: before.end,
    to,
    step: before.end - before.start,
    cause: isDown ? 'down' : 'untraded',
    isOpen,
    places: isCut ? CUT_PLACES : windows,
    isCut,
  };
}

/** All stretches, ascending. */
export function stretchesOf(bars: readonly Bar[], now: Now | null, limit: number): Stretch[] {
  const found: Stretch[] = [];
  let before: Bar | undefined;
  for (const bar of bars) {
    const between = before === undefined ? undefined : stretchBetween(before, bar, limit);
    if (between !== undefined) found.push(between);
    before = bar;
  }
  const open = before === undefined || now === null ? undefined : stretchUntil(before, now, limit);
  if (open !== undefined) found.push(open);
  return found;
}

/** Times of a stretch's places: its first windows, so that one that grows keeps those it has. */
export function placesOf({ from, step, places }: Stretch): EpochSeconds[] {
  return Array.from({ length: places }, (_, index) => (from + index * step) as EpochSeconds);
}

/** Time of a stretch's last place. */
export function lastPlace({ from, step, places }: Stretch): EpochSeconds {
  return (from + (places - 1) * step) as EpochSeconds;
}

/** Index of the first stretch that ends after an instant. */
export function firstAfter(stretches: readonly Stretch[], time: EpochSeconds): number {
  let low = 0;
  let high = stretches.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const there = stretches[middle];
    if (there !== undefined && there.to <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The stretch that an instant falls into. */
export function stretchAt(stretches: readonly Stretch[], time: EpochSeconds): Stretch | undefined {
  const found = stretches[firstAfter(stretches, time)];
  return found !== undefined && found.from <= time ? found : undefined;
}
