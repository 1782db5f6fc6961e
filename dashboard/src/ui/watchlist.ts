/**
 * The list of symbols. Promises: as many elements as rows fit the screen, however many symbols there are; a frame
 * touches only rows that changed; arrows, Home, End and Page keys move as in any list; a list that is sorted by figures is
 * put in order once a second, but not under the pointer.
 */

import { compact, fixed, percent } from '../helpers/format';
import type { ServerClock } from '../helpers/server-clock';
import { within } from '../model/hour';
import { nextSort, orderSymbols } from '../model/order';
import type { Column, Sort } from '../model/preferences';
import type { Store } from '../model/store';
import { changeOf, emptyRow, type Row, type ShownFeed, shownFeed, volumeOfRow } from '../model/watchlist';
import type { Cause } from './address';
import { element, oncePerFrame, setText } from './dom';
import type { PreferenceStore } from './preferences';
import { drawSparkline } from './sparkline';
import type { Palette } from './theme';
import { WatchHead } from './watch-head';

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
  readonly volume: HTMLElement;
  index: number;
  /** How far down it stands, and what else is said of its place, as it was written last: to read it back costs more. */
  top: number;
  standing: string;
  drawn: Row | undefined;
  titled: string;
  flashedAt: number;
  isSparkDue: boolean;
  /** The minute for which line and volume are drawn. */
  minute: number;
}

export interface WatchlistListener {
  select(symbol: string, cause: Cause): void;
  /** These rows are on the screen, of a list that is sorted by this column. */
  watched(symbols: readonly string[], column: Column): void;
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
  /** The symbol that the keyboard stands on; it keeps it wherever the row moves. */
  #cursor: string | undefined;
  /** The symbols from top to bottom. */
  #order: readonly string[] = [];
  #sort: Sort;
  #pins: readonly string[];
  #isPointedAt = false;
  readonly #head: WatchHead;
  #settle: ReturnType<typeof setTimeout> | undefined;
  /** The rows on the screen, and when they became others. */
  #shown: { readonly order: readonly string[]; readonly first: number; readonly count: number } = { order: [], first: 0, count: 0 };
  #movedAt = 0;
  #fade: ReturnType<typeof setTimeout> | undefined;
  #seen = '';

  constructor(
    root: HTMLElement,
    private readonly store: Store,
    private palette: Palette,
    private readonly clock: ServerClock,
    private readonly preferences: PreferenceStore,
    private readonly listener: WatchlistListener,
  ) {
    ({ sort: this.#sort, pins: this.#pins } = preferences.current);
    const head = element('div', { class: 'watch-head' });
    this.#head = new WatchHead(
      head,
      (column) => {
        this.#sortBy(nextSort(this.#sort, column));
      },
      () => {
        this.togglePin();
      },
    );
    this.#head.showSort(this.#sort);
    this.#head.showPin(undefined, false);
    this.#list = element('div', { class: 'watch-scroll', role: 'listbox', tabindex: '0', 'aria-label': 'Symbols' }, this.#space);
    root.append(head, this.#list);
    this.#list.addEventListener('pointerenter', (event) => {
      // A finger that has left the screen no longer points at anything.
      this.#isPointedAt = event.pointerType === 'mouse';
    });
    this.#list.addEventListener('pointerleave', () => {
      this.#isPointedAt = false;
    });
    this.#list.addEventListener('scroll', this.#schedule, { passive: true });
    this.#list.addEventListener('keydown', (event) => {
      this.#key(event);
    });
    this.#list.addEventListener('click', (event) => {
      const index = (event.target as HTMLElement).closest<HTMLElement>('[data-index]')?.dataset['index'];
      if (index !== undefined) this.#choose(Number(index), 'choice');
    });
    this.#resize = new ResizeObserver(() => {
      this.#height = this.#list.clientHeight;
      this.#rowHeight = Number.parseFloat(getComputedStyle(this.#list).getPropertyValue('--row-height'));
      this.#schedule();
    });
    this.#resize.observe(this.#list);
    this.#timer = setInterval(() => {
      if (this.#sort.column !== 'symbol' && !this.#isPointedAt && !document.hidden) this.#reorder();
      const minute = this.#minute();
      for (const slot of this.#slots) {
        if (slot.drawn === undefined) continue;
        this.#showFeed(slot, slot.drawn);
        if (slot.isSparkDue || slot.minute !== minute) this.#drawHour(slot, slot.drawn, minute);
      }
    }, 1000);
  }

  focus(): void {
    this.#list.focus();
  }

  /** Selects the symbol `step` rows away from the selected one. */
  move(step: number): void {
    this.#choose(Math.min(this.#order.length - 1, Math.max(0, this.#cursorIndex() + step)), 'step');
  }

  /** Pins the symbol that is shown, or lets go of it. */
  togglePin(): void {
    const symbol = this.store.selection?.symbol;
    if (symbol === undefined || !this.store.rows.has(symbol)) return;
    const { pins } = this.preferences.current;
    this.#pins = pins.includes(symbol) ? pins.filter((pin) => pin !== symbol) : [...pins, symbol];
    this.preferences.change({ pins: this.#pins });
    this.#reorder();
    this.#reveal(symbol);
    this.draw('all');
  }

  #sortBy(sort: Sort): void {
    this.#sort = sort;
    this.preferences.change({ sort });
    this.#head.showSort(sort);
    this.#reorder();
    this.#list.scrollTop = 0;
    this.#seen = '';
    this.#moved();
    this.draw('all');
  }

  /** Puts the rows in order. */
  #reorder(): void {
    const { symbols, rows } = this.store;
    const order = orderSymbols(symbols, rows, this.#sort, new Set(this.#pins), this.#minute());
    if (order.length === this.#order.length && order.every((symbol, index) => symbol === this.#order[index])) return;
    this.#order = order;
    this.#schedule();
  }

  #cursorIndex(): number {
    return this.#cursor === undefined ? 0 : Math.max(0, this.#order.indexOf(this.#cursor));
  }

  /** The present minute by the server's clock. */
  #minute(): number {
    return Math.floor(this.clock.now() / 60_000);
  }

  setPalette(palette: Palette): void {
    this.palette = palette;
    for (const slot of this.#slots) slot.drawn = undefined;
    this.#schedule();
  }

  /** Updates the selection after it changed elsewhere. */
  follow(symbol: string): void {
    if (!this.#order.includes(symbol)) return;
    this.#cursor = symbol;
    this.#reveal(symbol);
    this.#schedule();
  }

  /** Symbols were added. */
  refresh(): void {
    this.#reorder();
    this.draw('all');
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
        volume: slot.volume.textContent,
        line: slot.spark.dataset['trend'] ?? '',
        pinned: String(slot.root.dataset['pinned'] === 'true'),
        feed: slot.dot.dataset['feed'] ?? '',
      }));
  }

  /** How the list is sorted, for tests. */
  get head(): Record<string, string> {
    return this.#head.texts();
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
    if (changed === 'all') this.#place();
    for (const slot of this.#slots) {
      const symbol = this.#order[slot.index];
      if (slot.root.hidden || symbol === undefined) continue;
      if (changed === 'all' || changed.has(symbol)) this.#fill(slot, this.store.rows.get(symbol) ?? emptyRow(symbol));
    }
  }

  /** Moves the slots to the rows on the screen. */
  #place(): void {
    const symbols = this.#order;
    const { selection } = this.store;
    const pins = new Set(this.#pins);
    this.#head.showPin(selection?.symbol, selection !== null && pins.has(selection.symbol));
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
      const down = index * this.#rowHeight;
      // Set as a property: a strict Content-Security-Policy forbids style attributes.
      if (slot.top !== down) slot.root.style.transform = `translateY(${down}px)`;
      slot.top = down;
      const isSelected = symbols[index] === selection?.symbol;
      const isPinned = pins.has(symbols[index] ?? '');
      // The last of the pinned ones has a line below.
      const isLastPin = isPinned && !pins.has(symbols[index + 1] ?? '');
      const standing = `${symbols.length} ${isSelected} ${isPinned} ${isLastPin}`;
      if (slot.standing === standing) continue;
      slot.standing = standing;
      slot.root.setAttribute('aria-setsize', String(symbols.length));
      slot.root.setAttribute('aria-selected', String(isSelected));
      slot.root.dataset['pinned'] = String(isPinned);
      slot.root.dataset['lastPin'] = String(isLastPin);
    }
    const cursor = this.#cursorIndex();
    if (cursor >= first && cursor < first + count) this.#list.setAttribute('aria-activedescendant', `watch-${cursor}`);
    else this.#list.removeAttribute('aria-activedescendant');
    const before = this.#shown;
    if (before.order === symbols && before.first === first && before.count === count) return;
    this.#shown = { order: symbols, first, count };
    this.#moved();
  }

  /** The rows on the screen are others. A scroll comes by here in each frame, so it sets no timer anew. */
  #moved(): void {
    this.#movedAt = performance.now();
    this.#settle ??= setTimeout(() => {
      this.#tell();
    }, SETTLE_MS);
  }

  /** Tells the listener what is on the screen, once it has stood still for a moment. */
  #tell(): void {
    const left = this.#movedAt + SETTLE_MS - performance.now();
    if (left > 0) {
      this.#settle = setTimeout(() => {
        this.#tell();
      }, left);
      return;
    }
    this.#settle = undefined;
    const { order, first, count } = this.#shown;
    const symbols = order.slice(first, first + count);
    const seen = [this.#sort.column, ...[...symbols].sort()].join(',');
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.listener.watched(symbols, this.#sort.column);
  }

  #makeSlot(): Slot {
    const dot = element('span', { class: 'dot', 'aria-hidden': 'true' });
    const symbol = element('span', { class: 'watch-symbol' });
    const spark = element('canvas', { class: 'watch-spark', 'aria-hidden': 'true' });
    const last = element('span', { class: 'watch-last' });
    const change = element('span', { class: 'watch-change' });
    const volume = element('span', { class: 'watch-volume' });
    const root = element('div', { class: 'watch-row', role: 'option' }, dot, symbol, spark, last, change, volume);
    this.#space.append(root);
    return { root, dot, symbol, spark, last, change, volume, index: -1, top: -1, standing: '', drawn: undefined, titled: '', flashedAt: 0, isSparkDue: false, minute: -1 };
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
    if (before?.hour !== row.hour || before.hasHour !== row.hasHour) {
      // A new price redraws the line at most once a second; history at once.
      if (before?.symbol === row.symbol && before.hasHour === row.hasHour) slot.isSparkDue = true;
      else this.#drawHour(slot, row, this.#minute());
    }
    if (before !== undefined && before.last !== null && before.last !== row.last) this.#flash(slot, row.direction > 0);
  }

  /** Draws what moves with the time: the line and the volume of the last hour. */
  #drawHour(slot: Slot, row: Row, minute: number): void {
    slot.isSparkDue = false;
    slot.minute = minute;
    drawSparkline(slot.spark, within(row.hour, minute), minute, this.palette);
    setText(slot.volume, compact(volumeOfRow(row, minute)));
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
    const last = this.#order.length - 1;
    const cursor = this.#cursorIndex();
    const targets: Readonly<Record<string, number>> = {
      ArrowDown: cursor + 1,
      ArrowUp: cursor - 1,
      PageDown: cursor + page,
      PageUp: cursor - page,
      Home: 0,
      End: last,
    };
    const target = targets[event.key];
    if (target === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.#choose(Math.min(last, Math.max(0, target)), 'step');
  }

  #choose(index: number, cause: Cause): void {
    const symbol = this.#order[index];
    if (symbol === undefined) return;
    this.#cursor = symbol;
    this.#reveal(symbol);
    this.listener.select(symbol, cause);
  }

  #reveal(symbol: string): void {
    const index = this.#order.indexOf(symbol);
    if (index < 0) return;
    const top = index * this.#rowHeight;
    const { scrollTop } = this.#list;
    if (top < scrollTop) this.#list.scrollTop = top;
    else if (top + this.#rowHeight > scrollTop + this.#height) this.#list.scrollTop = top + this.#rowHeight - this.#height;
  }
}
