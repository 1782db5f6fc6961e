/**
 * The view of the system: latency by stage and rates over the last ten minutes, states of the feeds, health of the
 * components, the ledger by symbol, and dead letters. It draws what the server pushes, once a second, while it is open.
 */

import { fixed, latency, NONE, rate } from '../helpers/format';
import type { Zone } from '../helpers/zone';
import type { Store } from '../model/store';
import { STAGES } from '../model/system';
import { type DeadLetter, DeadLetters } from './dead-letters';
import { element, setText } from './dom';
import { LedgerTable } from './ledger-table';
import type { Palette } from './theme';
import { TimeLine } from './time-line';

const FEEDS = ['live', 'quiet', 'stale', 'dead'] as const;
const FEED_TITLES: Readonly<Record<(typeof FEEDS)[number], string>> = {
  live: 'traded within 10 s',
  quiet: 'the source is healthy, nothing trades',
  stale: 'no data from the source for a while',
  dead: 'the source is down, or the symbol was removed',
};

export interface SystemListener {
  /** The view was closed by its own means. */
  closed(): void;
  deadLetters(): Promise<readonly DeadLetter[]>;
}

export class SystemView {
  readonly #lines: readonly TimeLine[];
  readonly #feeds = new Map<string, HTMLElement>();
  readonly #components = element('ul', { class: 'system-components' });
  readonly #ledger: LedgerTable;
  readonly #letters: DeadLetters;
  readonly #close = element('button', { type: 'button', class: 'system-close' }, 'Back to the chart');
  #drawnComponents = '';

  constructor(
    private readonly root: HTMLElement,
    private readonly store: Store,
    private palette: Palette,
    zone: () => Zone,
    listener: SystemListener,
  ) {
    const ofStages = STAGES.map(([name, label, text]) =>
      new TimeLine(label, text, [{ field: `${name}_p50_ms`, label: 'p50' }, { field: `${name}_p99_ms`, label: 'p99' }], (value) => latency(value)),
    );
    const rates = [
      new TimeLine('Ticks a second', 'Ticks that were accepted', [{ field: 'messages_per_second', label: '' }], (value) => rate(value)),
      new TimeLine('Bars a second', 'Bars that were published', [{ field: 'bars_per_second', label: '' }], (value) => rate(value)),
    ];
    this.#lines = [...ofStages, ...rates];
    this.#ledger = new LedgerTable(store.system);
    this.#letters = new DeadLetters(store.system, zone, () => listener.deadLetters());
    const feeds = element('dl', { class: 'system-counts' });
    for (const feed of FEEDS) {
      const value = element('dd', {}, NONE);
      this.#feeds.set(feed, value);
      feeds.append(element('div', { title: FEED_TITLES[feed] }, element('dt', {}, element('span', { class: 'dot', 'data-feed': feed, 'aria-hidden': 'true' }), feed), value));
    }
    root.append(
      element('div', { class: 'system-head' }, element('h2', { id: 'system-title', tabindex: '-1' }, 'System'), element('p', { class: 'system-note' }, 'The last ten minutes; — p50 or rate, ┄ p99'), this.#close),
      card('Throughput', ...rates.map((line) => line.root)),
      card('Feeds: symbols by state', feeds),
      card('Components', this.#components),
      element('section', { class: 'system-card system-wide', 'aria-label': 'Latency by stage' }, element('h3', {}, 'Latency by stage'), element('div', { class: 'system-lines' }, ...ofStages.map((line) => line.root))),
      this.#ledger.root,
      this.#letters.root,
    );
    this.#close.addEventListener('click', () => {
      listener.closed();
    });
    root.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') listener.closed();
    });
  }

  get isOpen(): boolean {
    return !this.root.hidden;
  }

  open(): void {
    this.root.hidden = false;
    this.#letters.open();
    this.draw();
    this.root.querySelector<HTMLElement>('#system-title')?.focus();
  }

  close(): void {
    this.root.hidden = true;
    this.#letters.close();
  }

  setPalette(palette: Palette): void {
    this.palette = palette;
    if (this.isOpen) this.draw();
  }

  draw(): void {
    const { now, points } = this.store.system;
    for (const line of this.#lines) line.draw(points, this.palette);
    for (const feed of FEEDS) {
      const value = this.#feeds.get(feed);
      if (value !== undefined) setText(value, now === null ? NONE : fixed(now.feeds[feed], 0));
    }
    this.#drawComponents();
    this.#ledger.draw();
    this.#letters.draw();
  }

  /** What is shown, for tests. */
  texts(): Record<string, unknown> {
    return {
      time: this.store.system.now?.time ?? null,
      points: this.store.system.points.length,
      lines: Object.assign({}, ...this.#lines.map((line) => line.texts())) as Record<string, string>,
      feeds: Object.fromEntries([...this.#feeds].map(([feed, value]) => [feed, value.textContent])),
      components: [...this.#components.children].map((each) => each.textContent),
      ledger: this.#ledger.texts(),
      letters: this.#letters.texts(),
    };
  }

  #drawComponents(): void {
    const components = this.store.system.now?.components ?? [];
    const drawn = JSON.stringify(components);
    if (drawn === this.#drawnComponents) return;
    this.#drawnComponents = drawn;
    this.#components.replaceChildren(
      ...components.map(({ name, status, message }) =>
        element(
          'li',
          { 'data-status': status },
          element('span', { class: 'component-name' }, name),
          ' ',
          element('span', { class: 'component-status' }, status),
          ...(message === '' ? [] : [' ', element('span', { class: 'component-message' }, message)]),
        ),
      ),
    );
  }
}

function card(title: string, ...children: readonly HTMLElement[]): HTMLElement {
  return element('section', { class: 'system-card', 'aria-label': title }, element('h3', {}, title), ...children);
}
