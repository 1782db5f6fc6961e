/**
 * The bars of one symbol and window that the page holds: contiguous, ascending by start.
 *
 * Promises: an older version never replaces a newer one, whichever way they arrived; a void bar stays removed; an answer to a
 * request made before a live change does not undo the change.
 */

import type { EpochSeconds } from '../helpers/nominal';
import { type Bar, compareVersions } from './bar';

/** The effect of a change on the list, so that views redraw as little as possible. */
export type SeriesChange =
  | { readonly kind: 'none' }
  /** One bar was appended or replaced. */
  | { readonly kind: 'bar'; readonly start: EpochSeconds }
  /** Anything else: everything must be redrawn. */
  | { readonly kind: 'all' };

/** In place of a mark: no frames were lost. */
export const UNBROKEN = -1;

const NOTHING: SeriesChange = { kind: 'none' };
const EVERYTHING: SeriesChange = { kind: 'all' };

interface Held {
  readonly bar: Bar;
  /** Value of the change counter when a live frame set it; 0 for bars from history. */
  readonly touched: number;
}

export class BarSeries {
  #bars: Bar[] = [];
  /** All known bars by start, including void ones, which keep an older version from coming back. */
  readonly #held = new Map<EpochSeconds, Held>();
  #counter = 0;

  get bars(): readonly Bar[] {
    return this.#bars;
  }

  get length(): number {
    return this.#bars.length;
  }

  get oldest(): Bar | undefined {
    return this.#bars[0];
  }

  get newest(): Bar | undefined {
    return this.#bars.at(-1);
  }

  /** Start of the newest bar that is not forming: a catch-up must reach back to it. */
  get newestSettled(): Bar | undefined {
    return this.#bars.findLast((bar) => bar.state !== 'forming');
  }

  /** A mark of this moment, to pass to [merge]: taken before history is requested, or when the connection is lost. */
  get mark(): number {
    return this.#counter;
  }

  at(start: EpochSeconds): Bar | undefined {
    const index = this.#indexOf(start);
    const bar = this.#bars[index];
    return bar?.start === start ? bar : undefined;
  }

  /** The bar before the one at `start`, for a change from close to close. */
  before(start: EpochSeconds): Bar | undefined {
    return this.#bars[this.#indexOf(start) - 1];
  }

  /** The last bar that begins at a time or before it. */
  upTo(time: EpochSeconds): Bar | undefined {
    return this.#bars[this.#indexOf((time + 1) as EpochSeconds) - 1];
  }

  /** The bar after the one at `start`. */
  after(start: EpochSeconds): Bar | undefined {
    return this.#bars[this.#indexOf((start + 1) as EpochSeconds)];
  }

  /** The bars that begin from one time to another, and one beyond each. */
  around(from: EpochSeconds, to: EpochSeconds): readonly Bar[] {
    return this.#bars.slice(Math.max(0, this.#indexOf(from) - 1), this.#indexOf((to + 1) as EpochSeconds) + 1);
  }

  /** The bars that begin from one time to another. */
  between(from: EpochSeconds, to: EpochSeconds): readonly Bar[] {
    return this.#bars.slice(this.#indexOf(from), this.#indexOf((to + 1) as EpochSeconds));
  }

  /** Adds a bar from the live feed. Its frames arrive in order, so of two equal versions the later one wins. */
  apply(bar: Bar): SeriesChange {
    const held = this.#held.get(bar.start);
    if (held !== undefined && compareVersions(bar, held.bar) < 0) return NOTHING;
    this.#counter += 1;
    this.#held.set(bar.start, { bar, touched: this.#counter });
    return this.#place(bar);
  }

  /**
   * Takes a page of history in any order.
   *
   * The page may lack a bar in its range that is held here: the bar was voided while the connection was lost, or it
   * closed a moment ago and the history, which is written in batches, does not have it yet. So only bars that were held
   * when the connection was lost may be removed.
   *
   * @param asked mark taken when the page was requested; what live frames changed since is newer than the page
   * @param lost mark taken when the connection was lost; [UNBROKEN] when it was not
   */
  merge(page: readonly Bar[], asked: number, lost = UNBROKEN): SeriesChange {
    if (page.length === 0) return NOTHING;
    let changed = false;
    let first = Infinity;
    let last = -Infinity;
    const named = new Set<EpochSeconds>();
    for (const bar of page) {
      named.add(bar.start);
      first = Math.min(first, bar.start);
      last = Math.max(last, bar.start);
      const held = this.#held.get(bar.start);
      if (held !== undefined) {
        const order = compareVersions(bar, held.bar);
        if (order < 0 || (order === 0 && held.touched > asked)) continue;
      }
      this.#held.set(bar.start, { bar, touched: 0 });
      changed = true;
    }
    for (const [start, held] of this.#held) {
      if (start <= first || start >= last || named.has(start)) continue;
      if (held.touched > lost || held.bar.state === 'void') continue;
      this.#held.delete(start);
      changed = true;
    }
    if (!changed) return NOTHING;
    this.#rebuild();
    return EVERYTHING;
  }

  /** Drops everything before `start`: used when a gap could not be filled, so that the bars stay contiguous. */
  dropBefore(start: EpochSeconds): SeriesChange {
    for (const key of this.#held.keys()) if (key < start) this.#held.delete(key);
    this.#rebuild();
    return EVERYTHING;
  }

  clear(): void {
    this.#held.clear();
    this.#bars = [];
  }

  #place(bar: Bar): SeriesChange {
    const index = this.#indexOf(bar.start);
    const stands = this.#bars[index]?.start === bar.start;
    if (bar.state === 'void') {
      if (!stands) return NOTHING;
      this.#bars.splice(index, 1);
      return EVERYTHING;
    }
    if (stands) {
      this.#bars[index] = bar;
      return { kind: 'bar', start: bar.start };
    }
    if (index === this.#bars.length) {
      this.#bars.push(bar);
      return { kind: 'bar', start: bar.start };
    }
    this.#bars.splice(index, 0, bar);
    return EVERYTHING;
  }

  #rebuild(): void {
    this.#bars = [...this.#held.values()]
      .map((held) => held.bar)
      .filter((bar) => bar.state !== 'void')
      .sort((a, b) => a.start - b.start);
  }

  /** Index of the first bar whose start is not before `start`. */
  #indexOf(start: EpochSeconds): number {
    let low = 0;
    let high = this.#bars.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const bar = this.#bars[middle];
      if (bar !== undefined && bar.start < start) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
