/**
 * The state of the page. Live data enters by `apply(message)` only; nothing here reads a clock, draws or sends, so the same
 * messages always lead to the same state.
 *
 * Views do not follow single messages: they take the changes at a steady rate, however many messages arrived.
 */

import type { EpochSeconds } from '../helpers/nominal';
import { toSeconds } from '../helpers/time';
import { type AlertsState, NO_ALERTS } from './alerts';
import { type Anomaly, AnomalySet } from './anomalies';
import type { Bar } from './bar';
import { BarSeries, type SeriesChange, UNBROKEN } from './bar-series';
import { type Connection, DISCONNECTED } from './connection';
import { HOUR_WINDOW } from './hour';
import type { Indicators } from './indicators';
import type { Message, Metrics } from './message';
import { LIVE, type Origin, type Past, sameOrigin } from './origin';
import { type Point, System } from './system';
import { emptyRow, type Row, withDecimals, withHour, withLatest, withMinute, withTick } from './watchlist';

/** State of the chart's history. */
export type HistoryPhase = 'loading' | 'ready' | 'failed';

/** A refusal of the server: its stable code, and its words for people. */
export interface Refusal {
  readonly code: string;
  readonly text: string;
}

const NO_REFUSAL: Refusal = { code: '', text: '' };

export interface Selection {
  readonly symbol: string;
  readonly window: string;
}

/** Effects of a message besides changed values. */
export interface Applied {
  /** The server has another log: everything known about bars is invalid and was dropped. */
  readonly newEpoch: boolean;
  /** The oldest bars were dropped, to stay within [BARS_MAX]. */
  readonly dropped: boolean;
}

/** What views must redraw. */
export interface Changes {
  /** Bars to draw: one by one, or all. */
  bars: Set<EpochSeconds> | 'all';
  /** Rows to draw: one by one, or all. */
  rows: Set<string> | 'all';
  selection: boolean;
  symbols: boolean;
  /** Anomalies of the selected symbol, or how far back they are known. */
  anomalies: boolean;
  /** Incidents, silences, or the number of open ones. */
  alerts: boolean;
  /** Ends of the bars whose indicators to draw: one by one, or all. */
  indicators: Set<EpochSeconds> | 'all';
  metrics: boolean;
  /** The state of the server as a whole. */
  system: boolean;
  connection: boolean;
  history: boolean;
  origin: boolean;
  past: boolean;
}

function noChanges(): Changes {
  return {
    bars: new Set(),
    rows: new Set(),
    selection: false,
    symbols: false,
    anomalies: false,
    alerts: false,
    indicators: new Set(),
    metrics: false,
    system: false,
    connection: false,
    history: false,
    origin: false,
    past: false,
  };
}

/** Name of a topic as `since` spells it. */
export function topic(channel: string, symbol: string, window?: string): string {
  return window === undefined ? `${channel}:${symbol}` : `${channel}:${symbol}:${window}`;
}

/**
 * Bars that a chart holds: two weeks of minutes, about 40 MB with the objects that draw them. Older ones are dropped as
 * new ones arrive, and no more are loaded, so that a page may stay open for weeks.
 */
export const BARS_MAX = 20_000;

/** Bars above the limit before the oldest are dropped, all at once: each time the whole chart is redrawn. */
const BARS_EXCESS = 1_000;

/** Single bars or indicators to draw in one frame above which all are drawn: a page in the background draws nothing for hours. */
const SINGLE_CHANGES_MAX = 200;

export class Store {
  readonly series = new BarSeries();
  readonly indicators = new Map<EpochSeconds, Indicators>();
  readonly rows = new Map<string, Row>();
  /** Anomalies of the selected symbol. */
  readonly anomalies = new AnomalySet();
  readonly system = new System();
  /** Highest number received on each topic of the current log. */
  readonly seqs = new Map<string, number>();

  #symbols: readonly string[] = [];
  #assetClasses: ReadonlyMap<string, string> = new Map();
  #windows: readonly string[] = [];
  #isServed = false;
  #selection: Selection | null = null;
  #epoch: string | null = null;
  #connection: Connection = DISCONNECTED;
  #metrics: Metrics | null = null;
  #history: HistoryPhase = 'loading';
  #historyError: Refusal = NO_REFUSAL;
  #reachedStart = false;
  #anomalyFault = '';
  #alerts: AlertsState = NO_ALERTS;
  #skipped = 0;
  #origin: Origin = LIVE;
  #past: Past | null = null;
  #changes = noChanges();
  #wake: () => void = () => undefined;

  /** Called at the first change after the last [takeChanges]. */
  onChange(wake: () => void): void {
    this.#wake = wake;
  }

  takeChanges(): Changes {
    const changes = this.#changes;
    this.#changes = noChanges();
    return changes;
  }

  get symbols(): readonly string[] {
    return this.#symbols;
  }
  /** What the selected symbol is, in the server's words; `undefined` where it has not said. */
  get assetClass(): string | undefined {
    return this.#selection === null ? undefined : this.#assetClasses.get(this.#selection.symbol);
  }
  /** True once the server has named its symbols. */
  get isServed(): boolean {
    return this.#isServed;
  }
  /** Windows that the server has; none before it has said so. */
  get windows(): readonly string[] {
    return this.#windows;
  }
  get selection(): Selection | null {
    return this.#selection;
  }
  /** Name of the log the numbers belong to; `null` until the server gave one. */
  get epoch(): string | null {
    return this.#epoch;
  }
  get connection(): Connection {
    return this.#connection;
  }
  get metrics(): Metrics | null {
    return this.#metrics;
  }
  get history(): HistoryPhase {
    return this.#history;
  }
  /** Why there is no history, in phase `failed`. */
  get historyError(): Refusal {
    return this.#historyError;
  }
  /** True when the server has nothing older than the oldest bar held. */
  get reachedStart(): boolean {
    return this.#reachedStart;
  }
  /** Why the history has no anomalies to give, in its words; empty where it has given them, or is being asked. */
  get anomalyFault(): string {
    return this.#anomalyFault;
  }
  get alerts(): AlertsState {
    return this.#alerts;
  }
  /** Frames that the server left out because this page could not keep up. */
  get skipped(): number {
    return this.#skipped;
  }

  /** The origin of the data. */
  get origin(): Origin {
    return this.#origin;
  }
  /** Progress of the simulated past; `null` when none is being made. */
  get past(): Past | null {
    return this.#past;
  }

  /** Takes one message. */
  apply(message: Message): Applied {
    let dropped = false;
    switch (message.kind) {
      case 'tick': {
        if (!this.#advance(topic('ticks', message.symbol), message.seq)) break;
        this.#row(message.symbol, (row) => withTick(row, message));
        break;
      }
      case 'latest':
        this.#row(message.symbol, (row) => withLatest(row, message));
        break;
      case 'bar': {
        this.#advance(topic('bars', message.symbol, message.window), message.seq);
        if (message.window === HOUR_WINDOW && this.rows.has(message.symbol)) this.#row(message.symbol, (row) => withMinute(row, message.bar));
        if (!this.#isSelected(message.symbol, message.window)) break;
        this.#note(this.series.apply(message.bar));
        dropped = this.#dropOldest();
        break;
      }
      case 'indicators': {
        this.#advance(topic('indicators', message.symbol, message.window), message.seq);
        if (this.#isSelected(message.symbol, message.window)) this.putIndicators([message.indicators]);
        break;
      }
      case 'anomaly':
        if (this.#selection?.symbol !== message.anomaly.symbol) break;
        // What is older than the bars comes with them.
        if (this.series.oldest !== undefined && toSeconds(message.anomaly.time) <= this.series.oldest.start) break;
        this.anomalies.apply(message.anomaly);
        this.#changes.anomalies = true;
        break;
      case 'metrics':
        this.#metrics = message;
        this.#changes.metrics = true;
        this.setPast(message.past);
        break;
      case 'system':
        this.system.applySystem(message);
        this.#changes.system = true;
        break;
      case 'ledger':
        this.system.applyLedger(message);
        this.#changes.system = true;
        break;
      case 'connection':
        this.setOrigin(message.origin);
        return { newEpoch: this.#enter(message.epoch), dropped };
      case 'subscription':
      case 'resync':
        return { newEpoch: this.#enter(message.epoch), dropped };
      case 'snapshot': {
        const newEpoch = this.#enter(message.epoch);
        // A snapshot is the current state, whatever numbers were received before.
        for (const inner of message.messages) {
          if (inner.kind === 'tick') this.seqs.delete(topic('ticks', inner.symbol));
          dropped = this.apply(inner).dropped || dropped;
        }
        this.#wake();
        return { newEpoch, dropped };
      }
      case 'skipped':
        this.#skipped += message.count;
        this.#changes.metrics = true;
        break;
      case 'error':
      case 'pong':
        break;
    }
    this.#wake();
    return { newEpoch: false, dropped };
  }

  select(selection: Selection): void {
    this.#selection = selection;
    this.series.clear();
    this.indicators.clear();
    this.#forgetAnomalies();
    this.#history = 'loading';
    this.#historyError = NO_REFUSAL;
    this.#reachedStart = false;
    this.#changes.bars = 'all';
    this.#changes.selection = true;
    this.#changes.history = true;
    this.#wake();
  }

  /** Sets what the server has, as it says itself. */
  setServed(symbols: readonly string[], windows: readonly string[]): void {
    this.#windows = windows;
    this.#isServed = true;
    this.setSymbols(symbols);
  }

  setSymbols(symbols: readonly string[]): void {
    this.#symbols = [...symbols].sort();
    for (const symbol of this.#symbols) if (!this.rows.has(symbol)) this.rows.set(symbol, emptyRow(symbol));
    this.#changes.symbols = true;
    this.#changes.rows = 'all';
    this.#wake();
  }

  setAssetClasses(classes: ReadonlyMap<string, string>): void {
    this.#assetClasses = classes;
    this.#changes.symbols = true;
    this.#wake();
  }

  /** Takes a page of history; for the marks see [BarSeries.merge]. */
  mergeBars(page: readonly Bar[], asked: number, lost: number = UNBROKEN): void {
    this.#note(this.series.merge(page, asked, lost));
    const symbol = this.#selection?.symbol;
    // An address may name a symbol that does not exist: only what has bars has a row.
    if (symbol !== undefined && page.length > 0) {
      const prices = page.flatMap((bar) => [bar.open, bar.high, bar.low, bar.close]);
      this.#row(symbol, (row) => withDecimals(row, prices));
    }
    this.#wake();
  }

  dropBarsBefore(start: EpochSeconds): void {
    this.#reachedStart = false;
    this.#note(this.series.dropBefore(start));
    for (const end of this.indicators.keys()) if (end <= start) this.indicators.delete(end);
    this.anomalies.dropBefore(start);
    this.#changes.anomalies = true;
    this.#wake();
  }

  putIndicators(list: readonly Indicators[]): void {
    for (const indicators of list) {
      this.indicators.set(indicators.end, indicators);
      if (this.#changes.indicators !== 'all') this.#changes.indicators.add(indicators.end);
    }
    if (this.#changes.indicators !== 'all' && this.#changes.indicators.size > SINGLE_CHANGES_MAX) this.#changes.indicators = 'all';
    this.#wake();
  }

  /** Takes anomalies of the history; for the mark see [AnomalySet.merge]. */
  mergeAnomalies(list: readonly Anomaly[], asked: number): void {
    if (this.anomalies.merge(list, asked)) this.#changes.anomalies = true;
    this.#wake();
  }

  /** The history has told of all anomalies from a time on. */
  setAnomaliesFrom(from: EpochSeconds): void {
    this.anomalies.setFrom(from);
    this.setAnomalyFault('');
  }

  setAnomalyFault(text: string): void {
    this.#anomalyFault = text;
    this.#changes.anomalies = true;
    this.#wake();
  }

  setAlerts(change: Partial<AlertsState>): void {
    this.#alerts = { ...this.#alerts, ...change };
    this.#changes.alerts = true;
    this.#wake();
  }

  /** Takes the bars of a symbol's last hour from the history. */
  putHour(symbol: string, bars: readonly Bar[]): void {
    this.#row(symbol, (row) => withHour(row, bars));
    this.#wake();
  }

  /** Takes points of before the page followed the state of the server. */
  addSystemPast(points: readonly Point[]): void {
    this.system.addPast(points);
    this.#changes.system = true;
    this.#wake();
  }

  setHistory(phase: HistoryPhase, error: Refusal = NO_REFUSAL): void {
    this.#history = phase;
    this.#historyError = error;
    this.#changes.history = true;
    this.#wake();
  }

  setReachedStart(): void {
    this.#reachedStart = true;
    this.#changes.history = true;
    this.#wake();
  }

  /** Lets older history be requested again. */
  forgetStart(): void {
    this.#reachedStart = false;
    this.#changes.history = true;
    this.#wake();
  }

  setConnection(connection: Connection): void {
    this.#connection = connection;
    this.#changes.connection = true;
    this.#wake();
  }

  setOrigin(origin: Origin): void {
    if (sameOrigin(origin, this.#origin)) return;
    this.#origin = origin;
    this.#changes.origin = true;
    this.#wake();
  }

  setPast(past: Past | null): void {
    this.#past = past;
    this.#changes.past = true;
    this.#wake();
  }

  #forgetAnomalies(): void {
    this.anomalies.clear();
    this.#anomalyFault = '';
    this.#changes.anomalies = true;
  }

  #isSelected(symbol: string, window: string): boolean {
    return this.#selection?.symbol === symbol && this.#selection.window === window;
  }

  #row(symbol: string, change: (row: Row) => Row): void {
    const row = this.rows.get(symbol);
    if (row === undefined) {
      this.rows.set(symbol, change(emptyRow(symbol)));
      this.setSymbols([...this.#symbols, symbol]);
      return;
    }
    const next = change(row);
    if (next === row) return;
    this.rows.set(symbol, next);
    if (this.#changes.rows !== 'all') this.#changes.rows.add(symbol);
  }

  #note(change: SeriesChange): void {
    if (change.kind === 'all') this.#changes.bars = 'all';
    else if (change.kind === 'bar' && this.#changes.bars !== 'all') {
      this.#changes.bars.add(change.start);
      if (this.#changes.bars.size > SINGLE_CHANGES_MAX) this.#changes.bars = 'all';
    }
  }

  #dropOldest(): boolean {
    if (this.series.length <= BARS_MAX + BARS_EXCESS) return false;
    const first = this.series.bars.at(-BARS_MAX);
    if (first !== undefined) this.dropBarsBefore(first.start);
    return true;
  }

  /** Records the number; false when the message was received before (a resumed topic may repeat its last ones). */
  #advance(name: string, seq: number | null): boolean {
    if (seq === null) return true;
    const known = this.seqs.get(name);
    if (known !== undefined && seq <= known) return false;
    this.seqs.set(name, seq);
    return true;
  }

  #enter(epoch: string | null): boolean {
    if (epoch === null || epoch === this.#epoch) return false;
    const first = this.#epoch === null;
    this.#epoch = epoch;
    if (first) return false;
    this.seqs.clear();
    this.system.forgetLedgers();
    this.series.clear();
    this.indicators.clear();
    this.#forgetAnomalies();
    this.#reachedStart = false;
    this.#changes.bars = 'all';
    this.#wake();
    return true;
  }
}
