/**
 * What the server found unusual about the symbol that is shown. An anomaly may be said again under the same id, with other
 * values, as ended, or as withdrawn; it comes by WebSocket, and from the history by REST.
 *
 * Promises: each anomaly once, ascending by time; one that was withdrawn stays, as withdrawn; an answer of the history, which
 * is written in batches, never undoes what a newer frame said. Memory is bounded: beyond [ANOMALIES_MAX] the oldest go, and
 * [AnomalySet.from] says how far back what is held is complete.
 */

import type { EpochMillis, EpochSeconds } from '../helpers/nominal';
import { toMillis, toSeconds } from '../helpers/time';
import type { Bar } from './bar';
import type { BarSeries } from './bar-series';

/** How far beyond its threshold a value is, least first. */
export const SEVERITIES = ['low', 'medium', 'high', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

export const ANOMALY_STATES = ['active', 'ended', 'withdrawn'] as const;
export type AnomalyState = (typeof ANOMALY_STATES)[number];

/** What an anomaly follows from, as far as its rule says it. */
export interface Evidence {
  /** Window of the bars that are judged. */
  readonly window: string | null;
  /** Start of the bar, or of the window around the trade. */
  readonly windowStart: EpochSeconds | null;
  /** Place in the log of the entry with which it showed: text, since it may have more than 53 bits. */
  readonly logPos: string | null;
  /** Revision of the bar that showed it; `null` where a trade did. */
  readonly barRevision: number | null;
  readonly tradeId: string | null;
  /** Bars of the baseline, and how it was made of them. */
  readonly bars: number | null;
  readonly method: string | null;
  /** How often it was said before. */
  readonly revision: number;
  /** What else the rule says, by name. */
  readonly others: readonly (readonly [name: string, text: string])[];
}

export interface Anomaly {
  readonly id: string;
  /** Event time: of the trade, or the end of the bar's window. */
  readonly time: EpochMillis;
  readonly symbol: string;
  /** Name of the rule that found it, such as `price_spike`. */
  readonly type: string;
  readonly severity: Severity;
  /** What was found, in the server's words. */
  readonly description: string;
  readonly value: number | null;
  /** What would have been usual. */
  readonly expected: number | null;
  readonly threshold: number | null;
  readonly state: AnomalyState;
  readonly evidence: Evidence;
}

export interface AnomalyMessage {
  readonly kind: 'anomaly';
  readonly anomaly: Anomaly;
}

/** Anomalies held: some days of a market that goes mad. */
export const ANOMALIES_MAX = 5_000;
/** Anomalies above the limit before the oldest are dropped, all at once. */
const EXCESS = 500;

interface Held {
  readonly anomaly: Anomaly;
  /** Value of the change counter when a frame set it; 0 for what the history said. */
  readonly touched: number;
}

export class AnomalySet {
  readonly #held = new Map<string, Held>();
  #list: readonly Anomaly[] | null = [];
  #counter = 0;
  #from: EpochSeconds | null = null;

  /** All of them, ascending by time. */
  get list(): readonly Anomaly[] {
    this.#list ??= [...this.#held.values()].map(({ anomaly }) => anomaly).sort(inTime);
    return this.#list;
  }

  get size(): number {
    return this.#held.size;
  }

  /** What is held is complete from here on; `null` before the history has answered. */
  get from(): EpochSeconds | null {
    return this.#from;
  }

  /** True when nothing older fits in. */
  get isFull(): boolean {
    return this.#held.size >= ANOMALIES_MAX;
  }

  /** A mark of this moment, to pass to [merge]: taken before the history is asked. */
  get mark(): number {
    return this.#counter;
  }

  at(id: string): Anomaly | undefined {
    return this.#held.get(id)?.anomaly;
  }

  /** Takes what was just said. Frames arrive in order, so the later one counts. */
  apply(anomaly: Anomaly): void {
    this.#counter += 1;
    this.#held.set(anomaly.id, { anomaly, touched: this.#counter });
    this.#list = null;
    if (this.#held.size < ANOMALIES_MAX + EXCESS) return;
    const first = this.list.at(-ANOMALIES_MAX);
    if (first !== undefined) this.dropBefore(toSeconds(first.time));
  }

  /**
   * Takes what the history said; true when that changes something.
   *
   * @param asked mark taken when it was asked: what frames said since is newer
   */
  merge(list: readonly Anomaly[], asked: number): boolean {
    let changed = false;
    for (const anomaly of list) {
      const held = this.#held.get(anomaly.id);
      if (held !== undefined && held.touched > 0 && (held.touched > asked || held.anomaly.evidence.revision >= anomaly.evidence.revision)) continue;
      if (held !== undefined && JSON.stringify(held.anomaly) === JSON.stringify(anomaly)) continue;
      this.#held.set(anomaly.id, { anomaly, touched: 0 });
      changed = true;
    }
    if (changed) this.#list = null;
    return changed;
  }

  /** Frames may be missing: from now on what the history says counts, whatever was said before. */
  distrust(): void {
    for (const [id, { anomaly }] of this.#held) this.#held.set(id, { anomaly, touched: 0 });
  }

  /** The history has told everything from here on. */
  setFrom(from: EpochSeconds): void {
    this.#from = from;
  }

  /** Drops what is older than the bars that are held. */
  dropBefore(start: EpochSeconds): void {
    for (const [id, { anomaly }] of this.#held) if (anomaly.time < toMillis(start)) this.#held.delete(id);
    if (this.#from !== null && this.#from < start) this.#from = start;
    this.#list = null;
  }

  clear(): void {
    this.#held.clear();
    this.#list = [];
    this.#from = null;
  }
}

function inTime(a: Anomaly, b: Anomaly): number {
  return a.time - b.time || (a.id < b.id ? -1 : 1);
}

/** The anomalies of a bar that is shown. */
export interface Marked {
  readonly bar: Bar;
  /** Ascending by time. */
  readonly anomalies: readonly Anomaly[];
}

/**
 * The bar at which an anomaly is shown: the one in which it happened; where that bar is gone, as when it was voided, the one
 * before. `undefined` when it is older than all bars.
 */
export function barOf(anomaly: Anomaly, series: BarSeries): Bar | undefined {
  // What a bar showed has the end of its window as its time, which is the beginning of the next one.
  const inside = anomaly.evidence.barRevision === null ? anomaly.time : ((anomaly.time - 1) as EpochMillis);
  return series.upTo(toSeconds(inside));
}

/** The bars that have anomalies, ascending, each with its own. */
export function markBars(anomalies: readonly Anomaly[], series: BarSeries): Marked[] {
  const byStart = new Map<EpochSeconds, { bar: Bar; anomalies: Anomaly[] }>();
  for (const anomaly of anomalies) {
    const bar = barOf(anomaly, series);
    if (bar === undefined) continue;
    const marked = byStart.get(bar.start);
    if (marked === undefined) byStart.set(bar.start, { bar, anomalies: [anomaly] });
    else marked.anomalies.push(anomaly);
  }
  return [...byStart.values()].sort((a, b) => a.bar.start - b.bar.start);
}

/** Marks that lie so close together that they are one. */
export interface Group {
  /** Middle, in pixels. */
  readonly x: number;
  /** Ascending by time. */
  readonly anomalies: readonly Anomaly[];
  readonly bars: readonly Bar[];
}

/**
 * Puts marks together that would cover each other.
 *
 * @param marked bars from left to right
 * @param x where a bar is, in pixels; `null` where it is not drawn
 * @param width least distance of two marks
 */
export function groupMarks(marked: readonly Marked[], x: (bar: Bar) => number | null, width: number): Group[] {
  const groups: { first: number; last: number; anomalies: Anomaly[]; bars: Bar[] }[] = [];
  for (const { bar, anomalies } of marked) {
    const at = x(bar);
    if (at === null) continue;
    const group = groups.at(-1);
    if (group !== undefined && at - group.first < width) {
      group.last = at;
      group.anomalies.push(...anomalies);
      group.bars.push(bar);
    } else groups.push({ first: at, last: at, anomalies: [...anomalies], bars: [bar] });
  }
  return groups.map(({ first, last, anomalies, bars }) => ({ x: (first + last) / 2, anomalies, bars }));
}

/** The highest severity of those that still count; of all where none does. */
export function worst(anomalies: readonly Anomaly[]): Severity {
  const counting = anomalies.filter(({ state }) => state !== 'withdrawn');
  const ranks = (counting.length > 0 ? counting : anomalies).map(({ severity }) => SEVERITIES.indexOf(severity));
  return SEVERITIES[Math.max(0, ...ranks)] ?? 'low';
}
