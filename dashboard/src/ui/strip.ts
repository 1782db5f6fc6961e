/**
 * The status bar at the bottom: the connection, the age of the newest tick, rate and latency of the server, and whether
 * its ledger balances. Figures that the server no longer confirms are grey and slanted, so that they do not look current.
 */

import { counted, fixed, latency, NONE, rate } from '../helpers/format';
import type { ServerClock } from '../helpers/server-clock';
import { ageText, clockText, toSeconds } from '../helpers/time';
import type { Zone } from '../helpers/zone';
import type { ConnectionPhase } from '../model/connection';
import type { Store } from '../model/store';
import { shownFeed } from '../model/watchlist';
import { element, setText } from './dom';

/** How long skipped frames are highlighted; after that only their count is shown. */
const NEWS_MS = 60_000;

const ITEMS = ['rate', 'p50', 'p99', 'residue', 'skipped'] as const;
type Item = (typeof ITEMS)[number];

const LABELS: Readonly<Record<Item, readonly [label: string, title: string]>> = {
  rate: ['ticks/s', 'Ticks the server takes in a second'],
  p50: ['p50', 'Latency of half of the ticks: from receipt to publication'],
  p99: ['p99', 'Latency of 99 of 100 ticks: from receipt to publication'],
  residue: ['unaccounted', 'Residue: reports received less those the ledger accounts for; 0 means that none is lost'],
  skipped: ['skipped', 'Frames the server left out because this page was too slow'],
};

export class Strip {
  readonly #line = element('span', { class: 'line', role: 'status' });
  readonly #lineText = element('span');
  readonly #retry = element('span', { 'aria-hidden': 'true' });
  readonly #age = element('span', { class: 'age', title: 'Time since the newest tick of this symbol' });
  readonly #past = element('span', { class: 'past', title: 'The simulated venue makes up bars of before its start; they come in as they are made' });
  readonly #time = element('time', { class: 'clock', title: 'Time now, by the server’s clock' });
  readonly #figures = element('span', { class: 'figures' });
  readonly #system = element('button', { type: 'button', class: 'strip-system', 'aria-pressed': 'false', title: 'Latency, throughput, ledger and feeds (s)' }, 'System');
  readonly #values = new Map<Item, HTMLElement>();
  readonly #timer: ReturnType<typeof setInterval>;
  #skippedSeen = 0;
  #skippedAt = 0;

  constructor(
    private readonly root: HTMLElement,
    private readonly store: Store,
    private readonly clock: ServerClock,
    private readonly zone: () => Zone,
    toggleSystem: () => void,
  ) {
    this.#line.append(element('span', { class: 'dot' }), this.#lineText, this.#retry);
    for (const item of ITEMS) {
      const [label, title] = LABELS[item];
      const value = element('span', { class: 'value' }, NONE);
      this.#values.set(item, value);
      this.#figures.append(element('span', { class: 'pair', 'data-item': item, title }, element('span', { class: 'label' }, label), value));
    }
    root.append(this.#line, this.#age, this.#past, this.#figures, this.#time, this.#system);
    this.#system.addEventListener('click', toggleSystem);
    // Ages grow by themselves; nothing is requested here.
    this.#timer = setInterval(() => {
      this.draw();
    }, 1000);
    this.draw();
  }

  /** What is shown, for tests. */
  texts(): Record<string, string> {
    const texts: Record<string, string> = { line: this.#lineText.textContent, age: this.#age.textContent, past: this.#past.textContent, clock: this.#time.textContent };
    for (const [item, value] of this.#values) texts[item] = value.textContent;
    return texts;
  }

  /** Says whether the view of the system is open. */
  showSystem(isOpen: boolean): void {
    this.#system.setAttribute('aria-pressed', String(isOpen));
  }

  destroy(): void {
    clearInterval(this.#timer);
    this.root.replaceChildren();
  }

  draw(): void {
    const { connection, metrics, selection, rows, skipped, past } = this.store;
    const now = this.clock.now();
    this.root.dataset['phase'] = connection.phase;
    setText(this.#lineText, lineText(connection.phase, connection.reason));
    // Not part of the live region, or a screen reader would read every second aloud.
    const wait = connection.retryAt === null ? 0 : Math.ceil((connection.retryAt - this.clock.local()) / 1000);
    setText(this.#retry, wait > 0 ? `, next try in ${wait} s` : '');

    const row = selection === null ? undefined : rows.get(selection.symbol);
    setText(this.#age, row?.time === null || row?.time === undefined ? '' : tickText(now - row.time));
    this.#age.dataset['feed'] = row === undefined ? '' : shownFeed(row, now);
    setText(this.#past, past === null ? '' : `making up the past: ${fixed(past.done, 0)} of ${counted(past.total, 'symbol')}`);
    this.#past.hidden = past === null;

    this.#set('rate', rate(metrics?.ticksPerSecond));
    this.#set('p50', latency(metrics?.latencyP50));
    this.#set('p99', latency(metrics?.latencyP99));
    this.#set('residue', fixed(metrics?.residue, 0));
    this.#set('skipped', fixed(skipped, 0));
    const residue = metrics?.residue ?? 0;
    this.#item('residue').dataset['level'] = residue === 0 ? 'good' : 'bad';
    if (skipped !== this.#skippedSeen) this.#skippedAt = now;
    this.#skippedSeen = skipped;
    this.#item('skipped').hidden = skipped === 0;
    this.#item('skipped').dataset['level'] = now - this.#skippedAt < NEWS_MS ? 'news' : 'past';
    const zone = this.zone();
    setText(this.#time, `${clockText(now, zone)} ${zone.abbreviation(toSeconds(now))}`);
  }

  #set(item: Item, text: string): void {
    const value = this.#values.get(item);
    if (value !== undefined) setText(value, text);
  }

  #item(item: Item): HTMLElement {
    return this.#values.get(item)?.parentElement ?? this.#figures;
  }
}

/** Clocks of venue and server differ by some tenths of a second; a time further ahead is wrong, and shown as such. */
const AHEAD_MS = 5_000;

function tickText(age: number): string {
  if (age < -AHEAD_MS) return `last tick ${ageText(-age)} ahead of the clock`;
  const text = ageText(age);
  return `last tick ${text === 'now' ? 'now' : `${text} ago`}`;
}

function lineText(phase: ConnectionPhase, reason: string): string {
  switch (phase) {
    case 'live':
      return 'Live';
    case 'stale':
      return 'Stale: nothing received from the server';
    case 'connecting':
      return reason === '' ? 'Connecting' : `Reconnecting: ${reason}`;
    case 'waiting':
      return `Disconnected: ${reason}`;
  }
}
