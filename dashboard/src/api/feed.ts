/**
 * Keeps the store true: subscribes what is looked at, loads history, and joins the two without a hole.
 *
 * The seam: history is asked for at once, so that something is seen, and its end again when the first live bar proves
 * that the subscription holds. A bar that closes in between comes on one way or the other, and a bar that comes on both
 * is the same bar (see [BarSeries]). After every loss (reconnect, resync, frames skipped) history is read back until it
 * meets what is held; where it does not meet within reason, the older part is let go, and scrolling back brings it again.
 * So the bars shown are one run, always.
 *
 * On failure: a request that may succeed later is tried again with back-off; a refusal is shown.
 */

import { Backoff } from '../helpers/backoff';
import type { EpochMillis, EpochSeconds } from '../helpers/nominal';
import type { Bar } from '../model/bar';
import { UNBROKEN } from '../model/bar-series';
import type { Message } from '../model/message';
import { BARS_MAX, type Store, topic } from '../model/store';
import { decodeFrame } from './decode';
import { Interests } from './interests';
import { type Page, type Rest, RestError } from './rest';
import type { Socket } from './socket';

/** Bars a request asks for: some screens' worth; 130 kB of JSON before compression. */
const PAGE_BARS = 500;
/** Bars that close the seam when history was loaded moments ago. */
const SEAM_BARS = 20;
/** Pages a catch-up reads before it lets go of what is older: 10,000 bars are a week of minutes. */
const CATCH_UP_PAGES = 20;
/** Up to this many symbols the page takes the ticks of all; beyond it, only of those on the screen. */
const ALL_SYMBOLS_MAX = 64;
/** Sparklines asked for at a time, so that they never stand in the way of the chart. */
const SPARKS_AT_ONCE = 3;
/** How long after the last of a made-up past all of it is in the history. */
const PAST_SETTLES_MS = 3_000;
const SPARK_WINDOW = '1min';
const SPARK_BARS = 60;

export class Feed {
  readonly #interests = new Interests();
  readonly #sparked = new Set<string>();
  #socket: Socket | undefined;
  #visible: readonly string[] = [];
  #open = false;
  #openings = 0;
  /** True until the first live bar of the selection shows that the subscription holds. */
  #seamOpen = true;
  /** Mark of the moment from which frames may be missing; [UNBROKEN] when none are. */
  #lost = UNBROKEN;
  /** Ends everything that belongs to the symbol and window left behind. */
  #selection = new AbortController();
  #older: string | null = null;
  #loadingOlder = false;
  #catchingUp = false;
  /** Reasons to catch up so far; one that comes while a catch-up runs makes it run again. */
  #reasons = 0;
  #sparksRunning = 0;
  #settled: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly store: Store,
    private readonly rest: Rest,
    /** Told what a person should know: refusals and errors. */
    private readonly report: (text: string) => void,
    /** Told the server's time, from frames that carry it. */
    private readonly heard: (time: EpochMillis) => void = () => undefined,
  ) {}

  /** Takes the socket to talk through; its listener calls [opened] and [received]. */
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
    this.#seamOpen = true;
    this.#tell();
    void this.#catchUp();
  }

  /** Says which rows of the watchlist are on the screen. */
  watch(symbols: readonly string[]): void {
    this.#visible = symbols;
    this.#tell();
    this.#fillSparks();
  }

  opened(): void {
    this.#open = true;
    this.#seamOpen = true;
    this.#openings += 1;
    this.#interests.forget();
    this.#tell();
    if (this.#openings === 1) return;
    // What is missing may be asked for again: the first answer may have failed with the line.
    for (const symbol of this.#sparked) if ((this.store.rows.get(symbol)?.spark.length ?? 0) < 2) this.#sparked.delete(symbol);
    this.#fillSparks();
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
      // The rows fill from ticks as well; only a refusal is worth a word.
      if (error instanceof RestError && !error.transient && error.code !== 'no_data') this.report(error.message);
    }
  }

  /** Loads the page before the oldest bar, if there is one. */
  async loadOlder(): Promise<void> {
    if (this.#loadingOlder || this.#catchingUp || this.#older === null || this.store.series.length >= BARS_MAX) return;
    const { signal } = this.#selection;
    this.#loadingOlder = true;
    try {
      const asked = this.store.series.mark;
      const page = await this.rest.older(this.#older, signal);
      signal.throwIfAborted();
      this.store.mergeBars(page.bars, asked);
      this.#continueFrom(page);
      void this.#loadIndicators(page.bars, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof RestError)) throw error;
      this.report(`older bars: ${error.message}`);
    } finally {
      if (!signal.aborted) this.#loadingOlder = false;
    }
  }

  #take(message: Message): void {
    if ((message.kind === 'connection' || message.kind === 'metrics' || message.kind === 'pong') && message.time !== null) this.heard(message.time);
    const known = this.store.past;
    const { newEpoch, letGo } = this.store.apply(message);
    if (message.kind === 'metrics' && message.past?.done !== known?.done) this.#pastGrew();
    const { selection, series } = this.store;
    if (letGo && selection !== null && series.oldest !== undefined) {
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
        void this.#catchUp();
        void this.refreshLatest();
        break;
      case 'skipped':
        // Ticks left out are no loss, their newest comes; bars left out are.
        if (message.channel !== 'bars') break;
        this.#lose();
        void this.#catchUp();
        break;
      case 'error':
        this.report(message.detail === '' ? message.code : message.detail);
        break;
      default:
        break;
    }
    if (newEpoch) {
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
      this.#lookBehindStart();
      for (const symbol of this.#sparked) if ((this.store.rows.get(symbol)?.spark.length ?? 0) < SPARK_BARS) this.#sparked.delete(symbol);
      this.#fillSparks();
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

  /** Remembers where frames began to be missing; until that is mended, a later loss lies behind it. */
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

  /** Tells the server what is wanted, if it listens. */
  #tell(): void {
    const topics = new Set<string>([topic('metrics', '*')]);
    const known = this.store.symbols.length;
    const few = known <= ALL_SYMBOLS_MAX;
    if (known > 0 && few) topics.add(topic('ticks', '*'));
    else for (const symbol of this.#visible) topics.add(topic('ticks', symbol));
    const selection = this.store.selection;
    if (selection !== null) {
      if (!few) topics.add(topic('ticks', selection.symbol));
      topics.add(topic('bars', selection.symbol, selection.window));
      topics.add(topic('indicators', selection.symbol, selection.window));
    }
    this.#interests.want(topics);
    if (!this.#open) return;
    for (const frame of this.#interests.diff(this.store.epoch, this.store.seqs)) this.#socket?.send(frame);
  }

  /** Reads history back from now until it meets what is held. */
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
        this.store.setHistory('failed', error.message);
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
    // Before the first page, live frames may have come already; they are no proof of anything before them.
    const begun = this.#older !== null || this.store.reachedStart;
    const anchor = begun ? series.newestSettled?.start : undefined;
    const lost = this.#lost;
    const few = anchor !== undefined && lost === UNBROKEN;
    let asked = series.mark;
    // Mended by this very request; a loss while it is under way is another one.
    this.#lost = UNBROKEN;
    let page: Page;
    try {
      page = await this.rest.bars(symbol, window, few ? SEAM_BARS : PAGE_BARS, signal);
    } catch (error) {
      if (lost !== UNBROKEN && !signal.aborted) this.#lost = lost;
      throw error;
    }
    for (let count = 1; ; count += 1) {
      // An answer can be complete in the moment its symbol is left.
      signal.throwIfAborted();
      this.store.mergeBars(page.bars, asked, lost);
      void this.#loadIndicators(page.bars, signal);
      const reached = oldestStart(page.bars);
      if (anchor === undefined || page.next === null || reached === undefined || reached <= anchor) {
        // Only a run that begins with this page goes on behind it; otherwise the cursor held is farther back.
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
      // The legend shows a dash for indicators it has not got; the chart does not depend on them.
    }
  }

  /** Loads the sparkline of each row the first time it is seen. */
  #fillSparks(): void {
    for (const symbol of this.#visible) {
      if (this.#sparksRunning >= SPARKS_AT_ONCE) return;
      if (this.#sparked.has(symbol)) continue;
      this.#sparked.add(symbol);
      this.#sparksRunning += 1;
      void this.#spark(symbol).finally(() => {
        this.#sparksRunning -= 1;
        this.#fillSparks();
      });
    }
  }

  async #spark(symbol: string): Promise<void> {
    try {
      const { bars } = await this.rest.bars(symbol, SPARK_WINDOW, SPARK_BARS);
      const newest = bars[0];
      if (newest === undefined) return;
      const closes = bars.map((bar) => bar.close).reverse();
      this.store.putSpark(symbol, closes, Math.floor(newest.start / 60));
    } catch {
      // Ticks draw the line from here on; it is asked for again after the next connection.
    }
  }
}

function oldestStart(bars: readonly Bar[]): EpochSeconds | undefined {
  let oldest: EpochSeconds | undefined;
  for (const bar of bars) if (oldest === undefined || bar.start < oldest) oldest = bar.start;
  return oldest;
}

function delay(millis: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, millis);
    signal.addEventListener('abort', done);
  });
}
