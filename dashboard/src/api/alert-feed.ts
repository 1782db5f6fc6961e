/**
 * Keeps what the page knows of alerts up to date, and carries out what the reader decides. There is no channel of them: an
 * anomaly that is pushed has the page ask a moment later, when the server has decided on it; besides, it asks every so often.
 *
 * Promises: one refresh runs at a time; it costs two small requests, and two more while the view is open. What the reader
 * does is shown at once, as the server answers. On failure what was known stays, with the reason; a server without alerts
 * is not asked again until the view is opened.
 */

import { adviceOf, type Decision, type IncidentFilter, type NewSilence } from '../model/alerts';
import type { Store } from '../model/store';
import { type Rest, RestError } from './rest';

/** From the start of the page: candles come first. */
const FIRST_MS = 1_000;
/** Between two refreshes: with the view open, without, and in the background, where only the title is seen. */
const OPEN_MS = 5_000;
const CLOSED_MS = 15_000;
const HIDDEN_MS = 60_000;
/** From an anomaly to the refresh: the server decides within about a second. */
const DECIDED_MS = 2_000;
/** Open incidents that are counted. */
const COUNTED_MAX = 100;
/** Incidents per page. */
const PAGE_INCIDENTS = 50;

export class AlertFeed {
  #isOpen = false;
  #isRunning = false;
  #isDue = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #dueAt = Infinity;
  /** When the server has decided on what was said or done last: an answer of before may not have it. */
  #decidedAt = -Infinity;
  /** Counts what changes the list besides the clock, so that an older answer never replaces it. */
  #turn = 0;

  /** @param isHidden true while nobody sees the page */
  constructor(
    private readonly store: Store,
    private readonly rest: Rest,
    private readonly isHidden: () => boolean,
  ) {}

  start(): void {
    this.#schedule(FIRST_MS);
  }

  /** An anomaly was said: the server decides on it now. */
  hint(): void {
    if (this.store.alerts.phase !== 'missing') this.#expect();
  }

  /** The page is seen again, or the server is back. */
  wake(): void {
    const { phase } = this.store.alerts;
    if (phase === 'ready' || phase === 'failed') this.#schedule(0);
  }

  /** The view was opened or closed. */
  follow(isOpen: boolean): void {
    this.#isOpen = isOpen;
    if (!isOpen) return;
    if (this.store.alerts.incidents.length === 0) this.store.setAlerts({ phase: 'loading' });
    this.#schedule(0);
  }

  /** Lists other incidents. */
  filter(filter: IncidentFilter): void {
    this.#turn += 1;
    this.store.setAlerts({ filter, incidents: [], next: null, phase: 'loading' });
    this.#schedule(0);
  }

  /** Adds the page of incidents before the oldest one listed. Rejects with a [RestError]. */
  async more(): Promise<void> {
    const { next } = this.store.alerts;
    if (next === null) return;
    const turn = this.#turn;
    const page = await this.rest.olderIncidents(next);
    if (turn !== this.#turn) return;
    this.#turn += 1;
    const known = new Set(this.store.alerts.incidents.map(({ id }) => id));
    this.store.setAlerts({ incidents: [...this.store.alerts.incidents, ...page.incidents.filter(({ id }) => !known.has(id))], next: page.next });
  }

  /** The decisions about an incident, newest first. Rejects with a [RestError]. */
  async decisions(id: string): Promise<readonly Decision[]> {
    return this.rest.decisions(id);
  }

  /** Says that the reader sees to an incident; returns what there is to say about it. Rejects with a [RestError]. */
  async acknowledge(id: string, by: string): Promise<string> {
    const answer = await this.rest.acknowledge([id], by);
    this.#turn += 1;
    if (answer.acknowledged.includes(id)) {
      const { incidents } = this.store.alerts;
      // What the server acts on within a second is shown as it will be.
      this.store.setAlerts({ incidents: incidents.map((each) => (each.id === id ? { ...each, state: 'acknowledged', acknowledgedBy: by === '' ? null : by } : each)) });
    }
    this.#expect();
    if (answer.closed.includes(id)) return 'It is closed already: there is nothing to see to.';
    return answer.unknown.includes(id) ? 'The server does not know it any more.' : '';
  }

  /** Makes a silence. Rejects with a [RestError]. */
  async silence(wanted: NewSilence, by: string): Promise<void> {
    const made = await this.rest.silence(wanted, by);
    this.#turn += 1;
    this.store.setAlerts({ silences: [...this.store.alerts.silences, made].sort((a, b) => a.end - b.end) });
    this.#expect();
  }

  /** Ends a silence. Rejects with a [RestError]. */
  async endSilence(id: string): Promise<void> {
    await this.rest.endSilence(id);
    this.#turn += 1;
    this.store.setAlerts({ silences: this.store.alerts.silences.filter((silence) => silence.id !== id) });
    this.#expect();
  }

  /** Has a refresh come when the server has decided on what was just said or done. */
  #expect(): void {
    this.#decidedAt = performance.now() + DECIDED_MS;
    this.#schedule(DECIDED_MS);
  }

  /** Has the next refresh come within a time. */
  #schedule(wait: number): void {
    if (this.#isRunning) {
      this.#isDue ||= wait < OPEN_MS;
      return;
    }
    const at = performance.now() + wait;
    if (this.#timer !== undefined && this.#dueAt <= at) return;
    clearTimeout(this.#timer);
    this.#dueAt = at;
    this.#timer = setTimeout(() => void this.#refresh(), wait);
  }

  async #refresh(): Promise<void> {
    this.#timer = undefined;
    this.#isRunning = true;
    const begun = performance.now();
    const turn = this.#turn;
    try {
      await this.#read(turn);
    } catch (error) {
      if (!(error instanceof RestError)) throw error;
      // The path itself is unknown, or the history keeps no alerts: asking again and again changes nothing.
      if (error.status === 404) this.store.setAlerts({ phase: 'missing', numOpen: 0, hasMoreOpen: false });
      else if (turn === this.#turn) this.store.setAlerts({ phase: 'failed', fault: adviceOf(error.status, error.message) });
    } finally {
      this.#isRunning = false;
    }
    const isDue = this.#isDue || turn !== this.#turn || begun < this.#decidedAt;
    this.#isDue = false;
    if (isDue) this.#schedule(DECIDED_MS);
    else if (this.store.alerts.phase !== 'missing' || this.#isOpen) this.#schedule(this.isHidden() ? HIDDEN_MS : this.#isOpen ? OPEN_MS : CLOSED_MS);
  }

  async #read(turn: number): Promise<void> {
    const [open, silent] = await Promise.all((['open', 'no_data'] as const).map((state) => this.rest.incidents({ state, severity: '', type: '', symbol: '' }, COUNTED_MAX)));
    const counts = { numOpen: (open?.incidents.length ?? 0) + (silent?.incidents.length ?? 0), hasMoreOpen: [open, silent].some((page) => typeof page?.next === 'string') };
    if (!this.#isOpen) {
      this.store.setAlerts({ ...counts, phase: 'ready', fault: '' });
      return;
    }
    const { filter, incidents } = this.store.alerts;
    // As many as are listed: what was added by pages stays.
    const limit = Math.min(1_000, Math.max(PAGE_INCIDENTS, incidents.length));
    const [page, silences] = await Promise.all([this.rest.incidents(filter, limit), this.rest.silences()]);
    // The reader has done something meanwhile: the next refresh tells what came of it.
    if (turn !== this.#turn) return;
    this.store.setAlerts({ ...counts, phase: 'ready', fault: '', incidents: page.incidents, next: page.next, silences });
  }
}
