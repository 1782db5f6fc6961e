/**
 * The list of symbols. Promises: as many elements as rows fit the screen, however many symbols there are; a frame
 * touches only rows that changed; arrows, Home, End and Page keys move as in any list.
 */

import { fixed, percent } from '../helpers/format';
import type { ServerClock } from '../helpers/server-clock';
import type { Store } from '../model/store';
import { changeOf, emptyRow, type Row, type ShownFeed, shownFeed } from '../model/watchlist';
import { element, oncePerFrame, setText } from './dom';
import { drawSparkline } from './sparkline';
import type { Palette } from './theme';

/** Rows drawn beyond the screen on each side, so that a fast scroll shows no blank. */
const OVERSCAN = 4;
/** Pause after a scroll before the visible rows are requested. */
const SETTLE_MS = 150;

/** How long a changed price keeps its colour. */
const FLASH_MS = 300;

const FEED_TEXTS: Readonly<Record<ShownFeed, string>> = {
  live: 'live',
  quiet: 'quiet: the source is healthy, nothing trades',
  stale: 'stale: no data from the source for a while',
  dead: 'dead: the source is down',
  silent: 'silent: no tick for a while',
  unknown: 'nothing received yet',
};

interface Slot {
  readonly root: HTMLElement;
  readonly dot: HTMLElement;
  readonly symbol: HTMLElement;
  readonly spark: HTMLCanvasElement;
  readonly last: HTMLElement;
  readonly change: HTMLElement;
  index: number;
  drawn: Row | undefined;
  titled: string;
  flashedAt: number;
  isSparkDue: boolean;
}

export class Watchlist {
  readonly #list: HTMLElement;
  readonly #space = element('div', { class: 'watch-space', role: 'presentation' });
  readonly #slots: Slot[] = [];
  readonly #schedule = oncePerFrame(() => {
    this.draw('all');
  });
  readonly #calm = matchMedia('(prefers-reduced-motion: reduce)');
  readonly #resize: ResizeObserver;
  readonly #timer: ReturnType<typeof setInterval>;
  /** Both are measured when the list changes size, never while it scrolls: each measurement forces a layout. */
  #rowHeight = 36;
  #height = 0;
  #cursor = 0;
  #settle: ReturnType<typeof setTimeout> | undefined;
  #fade: ReturnType<typeof setTimeout> | undefined;
  #seen = '';

  constructor(
    root: HTMLElement,
    private readonly store: Store,
    private palette: Palette,
    private readonly clock: ServerClock,
    private readonly select: (symbol: string) => void,
    private readonly watched: (symbols: readonly string[]) => void,
  ) {
    this.#list = element('div', { class: 'watch-scroll', role: 'listbox', tabindex: '0', 'aria-label': 'Symbols' }, this.#space);
    root.append(this.#list);
    this.#list.addEventListener('scroll', this.#schedule, { passive: true });
    this.#list.addEventListener('keydown', (event) => {
      this.#key(event);
    });
    this.#list.addEventListener('click', (event) => {
      const index = (event.target as HTMLElement).closest<HTMLElement>('[data-index]')?.dataset['index'];
      if (index !== undefined) this.#choose(Number(index));
    });
    this.#resize = new ResizeObserver(() => {
      this.#height = this.#list.clientHeight;
      this.#rowHeight = Number.parseFloat(getComputedStyle(this.#list).getPropertyValue('--row-height'));
      this.#schedule();
    });
    this.#resize.observe(this.#list);
    this.#timer = setInterval(() => {
      for (const slot of this.#slots) {
        if (slot.drawn === undefined) continue;
        this.#showFeed(slot, slot.drawn);
        if (slot.isSparkDue) this.#drawSpark(slot, slot.drawn);
      }
    }, 1000);
  }

  focus(): void {
    this.#list.focus();
  }

  /** Selects the symbol `step` rows away from the selected one. */
  move(step: number): void {
    this.#choose(Math.min(this.store.symbols.length - 1, Math.max(0, this.#cursor + step)));
  }

  setPalette(palette: Palette): void {
    this.palette = palette;
    for (const slot of this.#slots) slot.drawn = undefined;
    this.#schedule();
  }

  /** Updates the selection after it changed elsewhere. */
  follow(symbol: string): void {
    const index = this.store.symbols.indexOf(symbol);
    if (index < 0) return;
    this.#cursor = index;
    this.#reveal(index);
    this.#schedule();
  }

  /** Rows on the screen, as they are shown, for tests. */
  texts(): Record<string, string>[] {
    return this.#slots
      .filter((slot) => !slot.root.hidden)
      .sort((a, b) => a.index - b.index)
      .map((slot) => ({
        symbol: slot.symbol.textContent,
        last: slot.last.textContent,
        change: slot.change.textContent,
        feed: slot.dot.dataset['feed'] ?? '',
      }));
  }

  destroy(): void {
    this.#resize.disconnect();
    clearInterval(this.#timer);
    clearTimeout(this.#settle);
    clearTimeout(this.#fade);
    this.#list.remove();
  }

  /** Draws what is on the screen; with a set, only the rows named in it. */
  draw(changed: ReadonlySet<string> | 'all'): void {
    const { symbols } = this.store;
    if (changed === 'all') this.#place();
    for (const slot of this.#slots) {
      const symbol = symbols[slot.index];
      if (slot.root.hidden || symbol === undefined) continue;
      if (changed === 'all' || changed.has(symbol)) this.#fill(slot, this.store.rows.get(symbol) ?? emptyRow(symbol));
    }
  }

  /** Moves the slots to the rows on the screen. */
  #place(): void {
    const { symbols, selection } = this.store;
    const top = this.#list.scrollTop;
    const space = `${symbols.length * this.#rowHeight}px`;
    if (this.#space.style.height !== space) this.#space.style.height = space;
    const first = Math.max(0, Math.floor(top / this.#rowHeight) - OVERSCAN);
    const count = Math.min(symbols.length - first, Math.ceil(this.#height / this.#rowHeight) + 2 * OVERSCAN);
    while (this.#slots.length < count) this.#slots.push(this.#makeSlot());
    // A slot shows the rows whose index has the same remainder: scrolling by one row rewrites one slot, not all.
    const size = this.#slots.length;
    for (let place = 0; place < size; place += 1) {
      const slot = this.#slots[place];
      if (slot === undefined) continue;
      const index = first + ((((place - first) % size) + size) % size);
      slot.root.hidden = index >= first + count;
      if (slot.root.hidden) continue;
      if (slot.index !== index) {
        slot.index = index;
        slot.drawn = undefined;
        delete slot.last.dataset['flash'];
        slot.root.id = `watch-${index}`;
        slot.root.dataset['index'] = String(index);
        slot.root.setAttribute('aria-posinset', String(index + 1));
      }
      // Set as a property: a strict Content-Security-Policy forbids style attributes.
      const transform = `translateY(${index * this.#rowHeight}px)`;
      if (slot.root.style.transform !== transform) slot.root.style.transform = transform;
      put(slot.root, 'aria-setsize', String(symbols.length));
      put(slot.root, 'aria-selected', String(symbols[index] === selection?.symbol));
    }
    if (this.#cursor >= first && this.#cursor < first + count) this.#list.setAttribute('aria-activedescendant', `watch-${this.#cursor}`);
    else this.#list.removeAttribute('aria-activedescendant');
    this.#tell(symbols.slice(first, first + count));
  }

  #tell(symbols: readonly string[]): void {
    const seen = symbols.join(',');
    if (seen === this.#seen) return;
    this.#seen = seen;
    clearTimeout(this.#settle);
    this.#settle = setTimeout(() => {
      this.watched(symbols);
    }, SETTLE_MS);
  }

  #makeSlot(): Slot {
    const dot = element('span', { class: 'dot', 'aria-hidden': 'true' });
    const symbol = element('span', { class: 'watch-symbol' });
    const spark = element('canvas', { class: 'watch-spark', 'aria-hidden': 'true' });
    const last = element('span', { class: 'watch-last' });
    const change = element('span', { class: 'watch-change' });
    const root = element('div', { class: 'watch-row', role: 'option' }, dot, symbol, spark, last, change);
    this.#space.append(root);
    return { root, dot, symbol, spark, last, change, index: -1, drawn: undefined, titled: '', flashedAt: 0, isSparkDue: false };
  }

  #fill(slot: Slot, row: Row): void {
    const before = slot.drawn;
    if (before === row) return;
    slot.drawn = row;
    const change = changeOf(row);
    const trend = change === null || change.amount === 0 ? 'flat' : change.amount > 0 ? 'up' : 'down';
    setText(slot.symbol, row.symbol);
    setText(slot.last, fixed(row.last, row.decimals));
    setText(slot.change, percent(change?.percent));
    slot.change.dataset['trend'] = trend;
    this.#showFeed(slot, row);
    if (before?.spark !== row.spark) {
      // A new price redraws the sparkline at most once a second; history at once.
      if (before?.spark.length === row.spark.length) slot.isSparkDue = true;
      else this.#drawSpark(slot, row);
    }
    if (before !== undefined && before.last !== null && before.last !== row.last) this.#flash(slot, row.direction > 0);
  }

  #drawSpark(slot: Slot, row: Row): void {
    slot.isSparkDue = false;
    const { up, down, text } = this.palette;
    const amount = changeOf(row)?.amount ?? 0;
    drawSparkline(slot.spark, row.spark, amount > 0 ? up : amount < 0 ? down : text);
  }

  #showFeed(slot: Slot, row: Row): void {
    const feed = shownFeed(row, this.clock.now());
    // A slot is reused for other rows, so its title is set each time.
    if (slot.dot.dataset['feed'] === feed && slot.titled === row.symbol) return;
    slot.titled = row.symbol;
    slot.dot.dataset['feed'] = feed;
    slot.root.title = `${row.symbol}: ${FEED_TEXTS[feed]}`;
    slot.root.setAttribute('aria-description', `feed ${feed}`);
  }

  /**
   * A touch of colour behind a price that moved. It is put on and taken off, not faded: fifty fading rows would have the
   * whole page painted sixty times a second, all day.
   */
  #flash(slot: Slot, up: boolean): void {
    if (this.#calm.matches) return;
    slot.last.dataset['flash'] = up ? 'up' : 'down';
    slot.flashedAt = performance.now();
    this.#fade ??= setTimeout(() => {
      this.#fadeOut();
    }, FLASH_MS);
  }

  /** One timer for all rows: it ends the flash of those that flashed a moment ago. */
  #fadeOut(): void {
    const now = performance.now();
    let left = false;
    for (const slot of this.#slots) {
      if (slot.last.dataset['flash'] === undefined) continue;
      if (now - slot.flashedAt >= FLASH_MS) delete slot.last.dataset['flash'];
      else left = true;
    }
    this.#fade = left
      ? setTimeout(() => {
          this.#fadeOut();
        }, FLASH_MS / 2)
      : undefined;
  }

  #key(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.#height / this.#rowHeight) - 1);
    const last = this.store.symbols.length - 1;
    const targets: Readonly<Record<string, number>> = {
      ArrowDown: this.#cursor + 1,
      ArrowUp: this.#cursor - 1,
      PageDown: this.#cursor + page,
      PageUp: this.#cursor - page,
      Home: 0,
      End: last,
    };
    const target = targets[event.key];
    if (target === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.#choose(Math.min(last, Math.max(0, target)));
  }

  #choose(index: number): void {
    const symbol = this.store.symbols[index];
    if (symbol === undefined) return;
    this.#cursor = index;
    this.#reveal(index);
    this.select(symbol);
  }

  #reveal(index: number): void {
    const top = index * this.#rowHeight;
    const { scrollTop } = this.#list;
    if (top < scrollTop) this.#list.scrollTop = top;
    else if (top + this.#rowHeight > scrollTop + this.#height) this.#list.scrollTop = top + this.#rowHeight - this.#height;
  }
}

/** Sets an attribute only when it differs. */
function put(target: HTMLElement, name: string, value: string): void {
  if (target.getAttribute(name) !== value) target.setAttribute(name, value);
}
