/**
 * The state of the server over time: what the view of the system shows. The server pushes the present, once a second; the
 * page keeps the past.
 *
 * Promises: points ascend in time, each moment once; memory is bounded; a symbol's counts are the server's newest.
 */

import type { EpochMillis } from '../helpers/nominal';
import type { FeedState } from './feed-state';

/** Outcomes of reports, by the names of the server's ledger, in the order of a table. */
export const LEDGER_FIELDS = ['received', 'in_bars', 'filtered', 'late', 'duplicate', 'rejected', 'cancelled', 'residue'] as const;
export type LedgerField = (typeof LEDGER_FIELDS)[number];
export type LedgerCounts = Readonly<Record<LedgerField, number>>;

/** What became of the reports of one symbol. */
export interface LedgerMessage {
  readonly kind: 'ledger';
  readonly symbol: string;
  /** `null` before its first trade. */
  readonly feed: FeedState | null;
  readonly ledger: LedgerCounts;
}

export interface Component {
  readonly name: string;
  readonly status: string;
  /** The reason, for people; may be empty. */
  readonly message: string;
}

/** The state of the server as a whole. */
export interface SystemMessage {
  readonly kind: 'system';
  /** End of the second that the rates and latencies are of. */
  readonly time: EpochMillis;
  /** Rates and latencies by the names that REST has for them, such as `received_to_bar_p50_ms`. */
  readonly values: Values;
  readonly ledger: LedgerCounts;
  /** What was set aside, by reason. */
  readonly deadLetters: Readonly<Record<string, number>>;
  /** Numbers of symbols by the state of their feed. */
  readonly feeds: Readonly<Record<FeedState, number>>;
  readonly components: readonly Component[];
}

export type Values = Readonly<Record<string, number>>;

/** Rates and latencies of one moment. */
export interface Point {
  readonly time: EpochMillis;
  readonly values: Values;
}

export interface SymbolLedger {
  readonly feed: FeedState | null;
  readonly ledger: LedgerCounts;
}

/** The stages of a tick's way whose latency is measured, in the order of the way. */
export const STAGES: readonly (readonly [name: string, label: string, text: string])[] = [
  ['exchange_to_received', 'Exchange → received', 'From the time of a trade to its receipt'],
  ['received_to_logged', 'Received → logged', 'From receipt to its place in the log'],
  ['received_to_bar', 'Received → bar', 'From receipt to the published bar'],
  ['received_to_committed', 'Received → on disk', 'From receipt until the log holds it durably'],
  ['received_to_history', 'Received → history', 'From receipt until a history that keeps every tick holds it'],
  ['received_to_sent', 'Received → sent', 'From receipt until its frame is written to the clients'],
  ['received_to_bar_sent', 'Bar’s end → sent', 'From what ends a bar until its frame is written to the clients'],
];

/** How far back points are kept: ten minutes, one a second. */
export const SPAN_MS = 600_000;

export class System {
  #now: SystemMessage | null = null;
  #points: Point[] = [];
  readonly #ledgers = new Map<string, SymbolLedger>();

  /** The newest word of the server; `null` before the first. */
  get now(): SystemMessage | null {
    return this.#now;
  }
  get points(): readonly Point[] {
    return this.#points;
  }
  get ledgers(): ReadonlyMap<string, SymbolLedger> {
    return this.#ledgers;
  }

  applySystem(message: SystemMessage): void {
    this.#now = message;
    const newest = this.#points.at(-1);
    if (newest === undefined || message.time > newest.time) this.#points.push({ time: message.time, values: message.values });
    this.#drop();
  }

  applyLedger({ symbol, feed, ledger }: LedgerMessage): void {
    this.#ledgers.set(symbol, { feed, ledger });
  }

  /** Takes points of before the page listened. What was pushed of a moment stays. */
  addPast(points: readonly Point[]): void {
    const byTime = new Map(points.map((point) => [point.time, point]));
    for (const point of this.#points) byTime.set(point.time, point);
    this.#points = [...byTime.values()].sort((a, b) => a.time - b.time);
    this.#drop();
  }

  /** Another log: its counts begin anew. */
  forgetLedgers(): void {
    this.#ledgers.clear();
  }

  #drop(): void {
    const newest = this.#points.at(-1);
    if (newest === undefined) return;
    const first = this.#points.findIndex(({ time }) => time > newest.time - SPAN_MS);
    if (first > 0) this.#points.splice(0, first);
  }
}

/** The number of reports that were set aside, of all reasons. */
export function numDeadLetters(system: SystemMessage | null): number {
  return system === null ? 0 : Object.values(system.deadLetters).reduce((sum, count) => sum + count, 0);
}

/**
 * The symbols whose ledgers to show, what needs looking at first: reports that are not accounted for, then the most that
 * were set aside, then by name.
 *
 * @param filter what a symbol's name must contain
 */
export function ledgerOrder(ledgers: ReadonlyMap<string, SymbolLedger>, filter: string): string[] {
  const wanted = filter.trim().toUpperCase();
  const trouble = (symbol: string): readonly [number, number] => {
    const { ledger } = ledgers.get(symbol) ?? {};
    return ledger === undefined ? [0, 0] : [Math.abs(ledger.residue), ledger.rejected + ledger.late];
  };
  return [...ledgers.keys()]
    .filter((symbol) => symbol.toUpperCase().includes(wanted))
    .sort((a, b) => {
      const [one, other] = [trouble(a), trouble(b)];
      return other[0] - one[0] || other[1] - one[1] || (a < b ? -1 : 1);
    });
}
