/**
 * Loads the anomalies of the bars that are held: of all of them at first, of older ones as older bars come, and all again after
 * frames were lost, since of an anomaly that was said before more may be known now.
 *
 * On failure a request that may succeed later is tried again with back-off; a refusal is kept in the store, and the next
 * selection or connection asks again. Bars never wait for any of this.
 */

import { Backoff } from '../helpers/backoff';
import type { EpochSeconds } from '../helpers/nominal';
import { toSeconds } from '../helpers/time';
import { ANOMALIES_MAX } from '../model/anomalies';
import type { Store } from '../model/store';
import { delay } from './delay';
import { type Rest, RestError } from './rest';

/** Anomalies per request: as many as the server gives in one answer. */
const PAGE_ANOMALIES = 1_000;
/** How long after a subscription began the history holds all that was said before it: it is written in batches. */
const SETTLES_MS = 3_000;

export class AnomalyHistory {
  #signal: AbortSignal | undefined;
  #isRunning = false;
  /** True when all must be read again. */
  #isDue = true;
  #settled: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly store: Store,
    private readonly rest: Rest,
  ) {}

  /** Another symbol or window is selected; `signal` aborts what belongs to it. */
  begin(signal: AbortSignal): void {
    this.#signal = signal;
    this.#isRunning = false;
    this.#isDue = true;
    this.#readLater();
  }

  /** Frames are missing, or what was before the subscription is asked for: all is read again. */
  lose(): void {
    this.store.anomalies.distrust();
    this.#isDue = true;
    void this.#read();
    this.#readLater();
  }

  /** Bars reach further back. */
  extend(): void {
    void this.#read();
  }

  #readLater(): void {
    clearTimeout(this.#settled);
    this.#settled = setTimeout(() => {
      this.#isDue = true;
      void this.#read();
    }, SETTLES_MS);
  }

  async #read(): Promise<void> {
    const signal = this.#signal;
    if (this.#isRunning || signal === undefined) return;
    this.#isRunning = true;
    const backoff = new Backoff(500, 15_000, Math.random);
    for (let range = this.#wanted(); range !== undefined; range = this.#wanted()) {
      const isWhole = this.#isDue;
      this.#isDue = false;
      try {
        this.store.setAnomaliesFrom(await this.#readRange(range, signal));
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof RestError)) throw error;
        this.store.setAnomalyFault(error.message);
        this.#isDue ||= isWhole;
        if (!error.transient) break;
        await delay(backoff.next(), signal);
        if (isAborted(signal)) return;
      }
    }
    this.#isRunning = false;
  }

  /** What to ask for next: nothing once the anomalies reach as far back as the bars, or no more fit in. */
  #wanted(): { symbol: string; from: EpochSeconds; to: EpochSeconds | null } | undefined {
    const { selection, series, anomalies } = this.store;
    const { oldest } = series;
    if (selection === null || oldest === undefined) return;
    // A range leaves out its start.
    const from = (oldest.start - 1) as EpochSeconds;
    if (this.#isDue || anomalies.from === null) return { symbol: selection.symbol, from, to: null };
    return anomalies.from <= from || anomalies.isFull ? undefined : { symbol: selection.symbol, from, to: anomalies.from };
  }

  /** Reads a range, newest first; returns from where on all of it is held. */
  async #readRange({ symbol, from, to }: { symbol: string; from: EpochSeconds; to: EpochSeconds | null }, signal: AbortSignal): Promise<EpochSeconds> {
    const { anomalies } = this.store;
    let asked = anomalies.mark;
    let count = 0;
    let page = await this.rest.anomalies(symbol, from, to, PAGE_ANOMALIES, signal);
    for (;;) {
      signal.throwIfAborted();
      this.store.mergeAnomalies(page.anomalies, asked);
      if (page.next === null) return from;
      const oldest = page.anomalies.at(-1);
      count += page.anomalies.length;
      if (oldest !== undefined && (count >= ANOMALIES_MAX || (to !== null && anomalies.isFull))) return toSeconds(oldest.time);
      asked = anomalies.mark;
      page = await this.rest.olderAnomalies(page.next, signal);
    }
  }
}

/** As a function, since a signal changes while something is waited for. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
