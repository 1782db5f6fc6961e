/**
 * Keeps the store up to date: subscribes to what is shown, loads history, and joins the two without a gap.
 *
 * History is requested at once, so that something is visible, and its end once more when the first live bar proves that the
 * subscription is active. A bar that closes in between arrives one way or the other, and a bar that arrives both ways is the
 * same bar (see [BarSeries]). After every loss (reconnect, resync, skipped frames) history is read back until it overlaps
 * the bars held; where it does not overlap within reason, the older bars are dropped, and scrolling back loads them again.
 *
 * Promises: the bars shown are always contiguous. On failure a request that may succeed later is retried with back-off; a
 * refusal is shown.
 */

import { Backoff } from '../helpers/backoff';
import type { EpochMillis, EpochSeconds } from '../helpers/nominal';
import type { Bar } from '../model/bar';
import { UNBROKEN } from '../model/bar-series';
import { HOUR_MINUTES, HOUR_WINDOW } from '../model/hour';
import type { Message } from '../model/message';
import type { Column } from '../model/preferences';
import { BARS_MAX, type Store, topic } from '../model/store';
import { SPAN_MS } from '../model/system';
import { AnomalyHistory } from './anomaly-history';
import { decodeFrame } from './decode';
import { delay } from './delay';
import { Interests } from './interests';
import { type Page, type Rest, RestError } from './rest';
import type { Socket } from './socket';
import type { WireDeadLetter } from './wire';

/** Bars per request: a few screens full; 130 kB of JSON before compression. */
const PAGE_BARS = 500;
/** Bars per request at most on the way to a date far back: what the server gives in one answer. */
const LEAP_BARS = 5_000;
/** Bars that are enough to join history that was loaded moments ago. */
const SEAM_BARS = 20;
/** Pages that a catch-up reads before older bars are dropped: 10,000 bars are a week of minutes. */
const CATCH_UP_PAGES = 20;
/** Up to this many symbols the page follows the ticks of all; above it, only of those on the screen. */
const ALL_SYMBOLS_MAX = 64;
/** How long the way back waits where another request has to come first. */
const BUSY_MS = 50;
/** Interval of ticks: five updates of a row per second are easy to read, whatever the market does, and cost the page little. */
const TICK_INTERVAL_MS = 200;
/** The same where the ticks of many symbols are followed, since their prices decide the order of the list. */
const MANY_INTERVAL_MS = 1_000;
/** Hours requested at a time, so that they never delay the chart. */
const HOURS_AT_ONCE = 3;
/** How long after the last of a made-up past all of it is in the history. */
const PAST_SETTLES_MS = 3_000;

/** How the way back to a time ended: there, at the first bar there is, at as many bars as a chart holds, or by a fault. */
export type WayBack = 'reached' | 'start' | 'full' | 'failed';

export class Feed {
  readonly #interests = new Interests();
  readonly #anomalies: AnomalyHistory;
  /** Symbols whose last hour was asked for, and is kept up to date since. */
  readonly #hours = new Set<string>();
  #socket: Socket | undefined;
  #visible: readonly string[] = [];
  /** The column that the watchlist is sorted by: what decides its order is followed of all symbols. */
  #sortedBy: Column = 'symbol';
  #open = false;
  #followsSystem = false;
  #openings = 0;
  /** True until the first live bar of the selection shows that the subscription is active. */
  #seamOpen = true;
  /** Mark of the moment from which frames may be missing; [UNBROKEN] when none are. */
  #lost = UNBROKEN;
  /** Aborts everything that belongs to the symbol and window selected before. */
  #selection = new AbortController();
  #older: string | null = null;
  #loadingOlder = false;
  #catchingUp = false;
  /** Reasons to catch up so far; one that comes while a catch-up runs makes it run again. */
  #reasons = 0;
  #hoursRunning = 0;
  #settled: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly store: Store,
    private readonly rest: Rest,
    /** Receives messages for people: refusals and errors. */
    private readonly report: (text: string) => void,
    /** Receives the server's time, from frames that carry it. */
    private readonly observeTime: (time: EpochMillis) => void = () => undefined,
    /** Called for each anomaly, of any symbol. */
    private readonly anomalySaid: () => void = () => undefined,
  ) {
    this.#anomalies = new AnomalyHistory(store, rest);
  }

  /** Sets the socket; its listener calls [opened] and [received]. */
  attach(socket: Socket): void {
    this.#socket = socket;
  }

  /** Shows another symbol or window. */
  select(symbol: string, window: string): void {
    this.#selection.abort();
    this.#selection = new AbortController();
    this.#older = null;
    this.#loadingOlder = false;
    this.#catchingUp = false;
    this.#lost = UNBROKEN;
    this.store.select({ symbol, window });
    this.#anomalies.begin(this.#selection.signal);
    this.#seamOpen = true;
    this.#tell();
    void this.#catchUp();
  }

  /** Sets which rows of the watchlist are on the screen, and the column that it is sorted by. */
  watch(symbols: readonly string[], sortedBy: Column): void {
    this.#visible = symbols;
    this.#sortedBy = sortedBy;
    this.#tell();
    this.#fillHours();
  }

  /** Begins or ends to follow the state of the server. Its past is asked for at the beginning. */
  async followSystem(isFollowed: boolean): Promise<void> {
    if (isFollowed === this.#followsSystem) return;
    this.#followsSystem = isFollowed;
    this.#tell();
    if (!isFollowed) return;
    try {
      this.store.addSystemPast(await this.rest.systemPast(SPAN_MS / 60_000));
    } catch (error) {
      // The lines begin with what is pushed from now on.
      if (!(error instanceof RestError)) throw error;
    }
  }

  /** The newest of what was set aside; none where the server does not say. */
  async deadLetters(limit: number): Promise<readonly WireDeadLetter[]> {
    try {
      return await this.rest.deadLetters(limit);
    } catch (error) {
      if (error instanceof RestError) return [];
      throw error;
    }
  }

  opened(): void {
    this.#open = true;
    this.#seamOpen = true;
    this.#openings += 1;
    this.#anomalies.lose();
    this.#interests.forget();
    this.#tell();
    if (this.#openings === 1) return;
    // Bars closed meanwhile.
    this.#hours.clear();
    this.#fillHours();
    void this.refreshLatest();
  }

  closed(): void {
    if (this.#open) this.#lose();
    this.#open = false;
  }

  received(text: string): void {
    for (const message of decodeFrame(text)) this.#take(message);
  }

  /** Loads the symbols' newest prices: once at the start and after every loss. */
  async refreshLatest(): Promise<void> {
    try {
      for (const latest of await this.rest.latest(['*'])) this.store.apply(latest);
    } catch (error) {
      // Ticks fill the rows as well, so only a refusal is reported.
      if (error instanceof RestError && !error.transient && error.code !== 'no_data') this.report(error.message);
    }
  }

  /** Loads the page before the oldest bar, if there is one. */
  async loadOlder(): Promise<void> {
    if (this.#loadingOlder || this.#catchingUp || this.#older === null || this.store.series.length >= BARS_MAX) return;
    this.#loadingOlder = true;
    const { signal } = this.#selection;
    try {
      await this.#readOlder(this.#older, signal);
    } finally {
      if (!signal.aborted) this.#loadingOlder = false;
    }
  }

  /** Loads older bars until the bar of a time is held. Rejects when another symbol or window is selected meanwhile. */
  async loadBackTo(time: EpochSeconds): Promise<WayBack> {
    const { selection, series } = this.store;
    const { signal } = this.#selection;
    for (;;) {
      const { oldest } = series;
      if (selection === null || oldest === undefined) return 'failed';
      if (oldest.start <= time) return 'reached';
      if (!this.#hasOlder()) return this.store.reachedStart ? 'start' : 'failed';
      if (series.length >= BARS_MAX) return 'full';
      // What scrolling has asked for comes first; the bars must stay contiguous.
      if (this.#loadingOlder || this.#catchingUp) {
        await delay(BUSY_MS, signal);
        signal.throwIfAborted();
        continue;
      }
      const wanted = Math.ceil((oldest.start - time) / (oldest.end - oldest.start)) + PAGE_BARS;
      this.#loadingOlder = true;
      try {
        await this.#readOlder(this.rest.before(selection.symbol, selection.window, oldest.start, Math.min(LEAP_BARS, wanted, BARS_MAX - series.length)), signal);
        // Scrolling on from here takes small steps again.
        if (this.#hasOlder() && series.oldest !== undefined) this.#older = this.rest.before(selection.symbol, selection.window, series.oldest.start, PAGE_BARS);
      } finally {
        if (!signal.aborted) this.#loadingOlder = false;
      }
      signal.throwIfAborted();
      if (series.oldest?.start === oldest.start && this.#hasOlder()) return 'failed';
    }
  }

  #hasOlder(): boolean {
    return this.#older !== null;
  }

  /** Takes the page of older bars at an address; a refusal is reported. */
  async #readOlder(address: string, signal: AbortSignal): Promise<void> {
    try {
      const asked = this.store.series.mark;
      const page = await this.rest.older(address, signal);
      signal.throwIfAborted();
      this.store.mergeBars(page.bars, asked);
      this.#continueFrom(page);
      this.#anomalies.extend();
      void this.#loadIndicators(page.bars, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof RestError)) throw error;
      this.report(`older bars: ${error.message}`);
    }
  }

  #take(message: Message): void {
    if ((message.kind === 'connection' || message.kind === 'metrics' || message.kind === 'pong') && message.time !== null) this.observeTime(message.time);
    const known = this.store.past;
    const { newEpoch, dropped } = this.store.apply(message);
    if (message.kind === 'metrics' && message.past?.done !== known?.done) this.#pastGrew();
    const { selection, series } = this.store;
    if (dropped && selection !== null && series.oldest !== undefined) {
      this.#older = this.rest.before(selection.symbol, selection.window, series.oldest.start, PAGE_BARS);
    }
    switch (message.kind) {
      case 'subscription':
        this.#socket?.settle();
        for (const symbol of message.unknown) this.report(`unknown symbol \`${symbol}\``);
        break;
      case 'bar':
        this.#closeSeam(message);
        break;
      case 'snapshot':
        for (const inner of message.messages) this.#closeSeam(inner);
        break;
      case 'resync':
        this.#lose();
        this.#anomalies.lose();
        void this.#catchUp();
        void this.refreshLatest();
        break;
      case 'skipped':
        if (message.channel === 'anomalies') this.#anomalies.lose();
        // Skipped ticks are no loss, since the newest arrives; skipped bars are.
        if (message.channel !== 'bars') break;
        this.#lose();
        void this.#catchUp();
        break;
      case 'anomaly':
        this.anomalySaid();
        break;
      case 'error':
        this.report(message.detail === '' ? message.code : message.detail);
        break;
      default:
        break;
    }
    if (newEpoch) {
      this.#anomalies.lose();
      this.#older = null;
      this.#lose();
      void this.#catchUp();
      void this.refreshLatest();
    }
  }

  /**
   * The server has made up more of a past, or all of it: where bars seemed to begin there may be older ones by now. It does
   * not tell of them one by one, and the history, which is written in batches, may get the last of them a moment later.
   */
  #pastGrew(): void {
    this.#lookBehindStart();
    if (this.store.past !== null) return;
    clearTimeout(this.#settled);
    this.#settled = setTimeout(() => {
      this.#anomalies.lose();
      this.#lookBehindStart();
      this.#hours.clear();
      this.#fillHours();
      void this.refreshLatest();
    }, PAST_SETTLES_MS);
  }

  /** Reads history again where the chart had reached its beginning. */
  #lookBehindStart(): void {
    if (!this.store.reachedStart) return;
    this.#older = null;
    this.store.forgetStart();
    void this.#catchUp();
  }

  /** Records where frames began to be missing; until that is repaired, a later loss is covered by it. */
  #lose(): void {
    if (this.#lost === UNBROKEN) this.#lost = this.store.series.mark;
  }

  #closeSeam(message: Message): void {
    const selection = this.store.selection;
    if (!this.#seamOpen || message.kind !== 'bar') return;
    if (message.symbol !== selection?.symbol || message.window !== selection.window) return;
    this.#seamOpen = false;
    void this.#catchUp();
  }

  /** Sends the server the changes of the subscription, while connected. */
  #tell(): void {
    // Anomalies of all symbols: each is decided on by the alerts, and a symbol that is chosen next misses none.
    const topics = new Set<string>([topic('metrics', '*'), topic('anomalies', '*')]);
    if (this.#followsSystem) for (const channel of ['system', 'ledger']) topics.add(topic(channel, '*'));
    const few = this.#areFew;
    const all = this.store.symbols.length > 0 && (few || this.#sortedBy === 'last' || this.#sortedBy === 'change');
    for (const symbol of all ? ['*'] : this.#visible) topics.add(topic('ticks', symbol));
    if (this.store.windows.includes(HOUR_WINDOW)) {
      for (const symbol of this.#needsAllHours || few ? ['*'] : this.#visible) topics.add(topic('closed', symbol, HOUR_WINDOW));
    }
    const selection = this.store.selection;
    if (selection !== null) {
      if (!all) topics.add(topic('ticks', selection.symbol));
      topics.add(topic('bars', selection.symbol, selection.window));
      topics.add(topic('indicators', selection.symbol, selection.window));
    }
    this.#interests.want(topics, few || !all ? TICK_INTERVAL_MS : MANY_INTERVAL_MS);
    if (!this.#open) return;
    for (const frame of this.#interests.diff(this.store.epoch, this.store.seqs)) this.#socket?.send(frame);
  }

  /** Reads history back from now until it overlaps the bars held. */
  async #catchUp(): Promise<void> {
    const selection = this.store.selection;
    if (selection === null) return;
    this.#reasons += 1;
    if (this.#catchingUp) return;
    this.#catchingUp = true;
    const { signal } = this.#selection;
    const backoff = new Backoff(500, 15_000, Math.random);
    for (;;) {
      const answered = this.#reasons;
      try {
        await this.#readBack(selection.symbol, selection.window, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof RestError)) throw error;
        this.store.setHistory('failed', { code: error.code, text: error.message });
        if (!error.transient) break;
        await delay(backoff.next(), signal);
        continue;
      }
      this.store.setHistory('ready');
      if (answered === this.#reasons) break;
    }
    this.#catchingUp = false;
  }

  async #readBack(symbol: string, window: string, signal: AbortSignal): Promise<void> {
    const { series } = this.store;
    // Live frames may have arrived before the first page; they do not prove that the bars before them are held.
    const begun = this.#older !== null || this.store.reachedStart;
    const anchor = begun ? series.newestSettled?.start : undefined;
    const lost = this.#lost;
    const few = anchor !== undefined && lost === UNBROKEN;
    let asked = series.mark;
    // This request repairs the loss; one that happens while it runs is another loss.
    this.#lost = UNBROKEN;
    let page: Page;
    try {
      page = await this.rest.bars(symbol, window, few ? SEAM_BARS : PAGE_BARS, signal);
    } catch (error) {
      if (lost !== UNBROKEN && !signal.aborted) this.#lost = lost;
      throw error;
    }
    for (let count = 1; ; count += 1) {
      // An answer can complete just when another symbol is selected.
      signal.throwIfAborted();
      this.store.mergeBars(page.bars, asked, lost);
      this.#anomalies.extend();
      void this.#loadIndicators(page.bars, signal);
      const reached = oldestStart(page.bars);
      if (anchor === undefined || page.next === null || reached === undefined || reached <= anchor) {
        // Only where the bars held begin with this page does its cursor go further back than the one held.
        if (!begun || series.oldest?.start === reached) this.#continueFrom(page);
        return;
      }
      if (count === CATCH_UP_PAGES) {
        this.store.dropBarsBefore(reached);
        this.#continueFrom(page);
        return;
      }
      asked = series.mark;
      page = await this.rest.older(page.next, signal);
    }
  }

  #continueFrom(page: Page): void {
    this.#older = page.next;
    if (page.next === null) this.store.setReachedStart();
  }

  async #loadIndicators(bars: readonly Bar[], signal: AbortSignal): Promise<void> {
    const selection = this.store.selection;
    const settled = bars.filter((bar) => bar.state !== 'forming');
    const newest = settled[0];
    const oldest = settled.at(-1);
    if (selection === null || newest === undefined || oldest === undefined) return;
    try {
      // The range leaves out its start; windows are whole seconds long.
      const from = (oldest.end - 1) as EpochSeconds;
      const list = await this.rest.indicators(selection.symbol, selection.window, from, newest.end, settled.length, signal);
      if (!signal.aborted) this.store.putIndicators(list);
    } catch {
      // The legend shows a dash for missing indicators; the chart does not depend on them.
    }
  }

  get #areFew(): boolean {
    // Before the server has named its symbols the page knows the one that is shown, and not how many there are.
    return this.store.isServed && this.store.symbols.length <= ALL_SYMBOLS_MAX;
  }

  /** True when the order of the list depends on every symbol's volume. */
  get #needsAllHours(): boolean {
    return this.#sortedBy === 'volume';
  }

  /** Loads the last hour of each row when it comes into view; of every symbol where that decides the order. */
  #fillHours(): void {
    const { windows, symbols } = this.store;
    if (!windows.includes(HOUR_WINDOW)) return;
    const wanted = this.#needsAllHours ? [...this.#visible, ...symbols] : this.#visible;
    // Bars of what is out of view are not heard, so its hour is loaded again when it comes back.
    if (!this.#areFew && !this.#needsAllHours) for (const symbol of this.#hours) if (!this.#visible.includes(symbol)) this.#hours.delete(symbol);
    for (const symbol of wanted) {
      if (this.#hoursRunning >= HOURS_AT_ONCE) return;
      if (this.#hours.has(symbol)) continue;
      this.#hours.add(symbol);
      this.#hoursRunning += 1;
      void this.#loadHour(symbol).finally(() => {
        this.#hoursRunning -= 1;
        this.#fillHours();
      });
    }
  }

  async #loadHour(symbol: string): Promise<void> {
    try {
      const { bars } = await this.rest.bars(symbol, HOUR_WINDOW, HOUR_MINUTES);
      this.store.putHour(symbol, bars);
    } catch {
      // Its line begins with the next trades; it is requested again after the next connection.
    }
  }
}

function oldestStart(bars: readonly Bar[]): EpochSeconds | undefined {
  let oldest: EpochSeconds | undefined;
  for (const bar of bars) if (oldest === undefined || bar.start < oldest) oldest = bar.start;
  return oldest;
}
