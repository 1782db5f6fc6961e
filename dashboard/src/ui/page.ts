/**
 * The page as a whole: assembles the parts, draws at a steady rate what has changed in the store, and carries out the
 * user's commands. The address holds symbol and window (`#/AAPL/5min`), so a reload or a bookmark shows the same.
 */

import type { Feed } from '../api/feed';
import { fixed } from '../helpers/format';
import type { ServerClock } from '../helpers/server-clock';
import { spanText, toSeconds } from '../helpers/time';
import type { Zone } from '../helpers/zone';
import { badgeOf } from '../model/origin';
import { priceNow } from '../model/price';
import type { Store } from '../model/store';
import type { Now } from '../model/stretches';
import { windowSeconds } from '../model/windows';
import { BarChart } from './chart';
import { CAUSE_TEXTS } from './chart/stretch-marks';
import { ChartControls, type ChartSettings } from './chart-controls';
import { byId, Pace, setText } from './dom';
import { Legend, type Switch } from './legend';
import { Notices } from './notices';
import { Search } from './search';
import { Shortcuts } from './shortcuts';
import { Strip } from './strip';
import { ThemeSwitch } from './theme';
import { Watchlist } from './watchlist';
import { WindowSelector } from './window-selector';

/** Symbol and window that an address names. */
export function readAddress(hash: string): { readonly symbol: string | undefined; readonly window: string | undefined } {
  const [, symbol, window] = hash.split('/').map(decodeURIComponent);
  return { symbol: symbol === '' ? undefined : symbol, window };
}

/** Ten draws a second: nobody can read a price that changes faster. */
const DRAW_INTERVAL_MS = 100;
const SECOND_MS = 1000;

export class Page {
  readonly #theme: ThemeSwitch;
  readonly #chart: BarChart;
  readonly #legend: Legend;
  readonly #controls: ChartControls;
  readonly #watchlist: Watchlist;
  readonly #windows: WindowSelector;
  readonly #strip: Strip;
  readonly #notices: Notices;
  readonly #pace = new Pace(DRAW_INTERVAL_MS, () => {
    this.#draw();
  });
  readonly #cover = byId('cover');
  readonly #spoken = byId('spoken');
  readonly #origin = byId('origin');
  #settings: ChartSettings = { timeZone: 'utc', logScale: false };
  #overlays: readonly string[] = [];
  #panes: readonly string[] = [];

  constructor(
    private readonly store: Store,
    private readonly feed: Feed,
    private readonly clock: ServerClock,
  ) {
    this.#notices = new Notices(byId('notices'));
    this.#theme = new ThemeSwitch(() => {
      this.#repaint();
    });
    const palette = this.#theme.palette();
    const toLive = byId('to-live');
    this.#controls = new ChartControls({
      stage: byId('stage'),
      tools: byId('tools'),
      store,
      feed,
      clock,
      chart: () => this.#chart,
      palette: () => this.#theme.palette(),
      settings: () => this.#settings,
      keep: (change) => {
        this.#settings = { ...this.#settings, ...change };
      },
      zoneChanged: (zone) => {
        this.#chart.setZone(zone, this.#now());
        this.#legend.draw();
        this.#strip.draw();
      },
      draw: () => {
        this.#draw();
      },
      went: () => {
        byId('chart').focus();
        this.#speak();
      },
      caption: () => this.#legend.caption,
      say: (text) => {
        this.say(text);
      },
    });
    const zone = (): Zone => this.#controls.zone;
    this.#chart = new BarChart(byId('chart'), store, palette, zone(), {
      nearStart: () => void feed.loadOlder(),
      pointed: (time, stretch) => {
        this.#legend.point(time, stretch);
        this.#chart.setIndicatorTexts(this.#legend.texts());
      },
      followed: (atNow) => {
        toLive.hidden = atNow || store.series.length === 0;
      },
    });
    this.#legend = new Legend(byId('legend'), store, zone, (what, isShown) => {
      this.#switch(what, isShown);
    });
    this.#watchlist = new Watchlist(
      byId('watch'),
      store,
      palette,
      clock,
      (symbol) => {
        this.show(symbol, store.selection?.window);
      },
      (symbols) => {
        feed.watch(symbols);
      },
    );
    const search = new Search(
      byId('search'),
      store,
      (symbol) => {
        this.show(symbol, store.selection?.window);
        this.#watchlist.follow(symbol);
      },
    );
    this.#windows = new WindowSelector(byId('windows'), (window) => {
      this.show(store.selection?.symbol, window);
    });
    this.#strip = new Strip(byId('strip'), store, clock, zone);
    const shortcuts = new Shortcuts([
      { keys: ['/'], shown: '/', text: 'Search a symbol', run: () => { search.focus(); } },
      { keys: ['w'], shown: 'w', text: 'Go to the watchlist', run: () => { this.#watchlist.focus(); } },
      { keys: ['j', 'k'], shown: 'j k', text: 'Next or previous symbol, from anywhere', run: (key) => { this.#watchlist.move(key === 'j' ? 1 : -1); } },
      { keys: ['1', '2', '3', '4', '5', '6', '7', '8', '9'], shown: '1 … 9', text: 'Choose a window', run: (key) => { this.#windows.choose(Number(key) - 1); } },
      { keys: ['[', ']'], shown: '[ ]', text: 'Shorter or longer window', run: (key) => { this.#windows.step(key === ']' ? 1 : -1); } },
      { keys: ['c'], shown: 'c', text: 'Go to the chart', run: () => { byId('chart').focus(); } },
      { keys: ['n', 'End'], shown: 'n', text: 'Back to now', run: () => { this.#chart.toNow(); } },
      { keys: ['g'], shown: 'g', text: 'Go to a date', run: () => { this.#controls.askDate(); } },
      { keys: ['l'], shown: 'l', text: 'Logarithmic or linear prices', run: () => { this.#controls.toggleLogarithmic(); } },
      { keys: ['f'], shown: 'f', text: 'The chart on the whole screen', run: () => { this.#controls.toggleFullScreen(); } },
      { keys: ['t'], shown: 't', text: 'Light or dark', run: () => { this.#theme.toggle(); } },
      { keys: ['?'], shown: '?', text: 'This help', run: () => { shortcuts.toggleHelp(); } },
    ]);
    byId('theme').addEventListener('click', () => {
      this.#theme.toggle();
    });
    byId('help').addEventListener('click', () => {
      shortcuts.toggleHelp();
    });
    toLive.addEventListener('click', () => {
      this.#chart.toNow();
    });
    byId('chart').addEventListener('keydown', (event) => {
      this.#chartKey(event);
    });
    window.addEventListener('hashchange', () => {
      const address = readAddress(location.hash);
      this.show(address.symbol, address.window ?? store.selection?.window);
    });
    this.#controls.refresh();
    setInterval(() => {
      // The title is the only part of a background page that is visible.
      if (document.hidden) this.#drawTitle();
      // The empty stretch behind the newest bar grows without messages.
      else this.#chart.drawOpenStretch(this.#now());
    }, SECOND_MS);
    store.onChange(() => {
      this.#pace.request();
    });
  }

  setWindows(windows: readonly string[]): void {
    this.#windows.setWindows(windows);
    if (this.store.selection !== null) this.#windows.show(this.store.selection.window);
  }

  /** Shows a symbol and window, unless they are shown already. */
  show(symbol: string | undefined, window: string | undefined): void {
    const { selection } = this.store;
    if (symbol === undefined || window === undefined) return;
    if (selection?.symbol === symbol && selection.window === window) return;
    this.feed.select(symbol, window);
    history.replaceState(null, '', `#/${encodeURIComponent(symbol)}/${encodeURIComponent(window)}`);
    this.#windows.show(window);
    this.#watchlist.follow(symbol);
    this.#pace.flush();
  }

  /** Switches lines or a pane on or off. */
  #switch({ kind, names }: Switch, isShown: boolean): void {
    const change = (held: readonly string[]): readonly string[] => {
      const others = held.filter((name) => !names.includes(name));
      return isShown ? [...others, ...names] : others;
    };
    if (kind === 'panes') this.#panes = change(this.#panes);
    else this.#overlays = change(this.#overlays);
    const [overlays, panes] = [new Set(this.#overlays), new Set(this.#panes)];
    this.#chart.setIndicators(overlays, panes);
    this.#legend.showSwitched(overlays, panes);
  }

  say(text: string): void {
    this.#notices.say(text);
  }

  /** What is on the screen, for browser tests; the README documents it. */
  snapshot(): Record<string, unknown> {
    const { store } = this;
    return {
      selection: store.selection,
      connection: store.connection,
      epoch: store.epoch,
      history: { phase: store.history, reachedStart: store.reachedStart },
      ...this.#chart.drawn,
      zone: this.#controls.zone.id,
      origin: this.#origin.hidden ? '' : this.#origin.textContent,
      bars: store.series.bars,
      legend: this.#legend.texts(),
      watchlist: this.#watchlist.texts(),
      strip: this.#strip.texts(),
      theme: this.#theme.theme,
    };
  }

  #draw(): void {
    const { store } = this;
    const changes = store.takeChanges();
    if (changes.selection) {
      const seconds = windowSeconds(store.selection?.window ?? '') ?? 60;
      this.#chart.setWindow(seconds);
      this.#chart.leave();
      byId('chart').setAttribute('aria-label', `Bars of ${store.selection?.symbol ?? ''}, ${store.selection?.window ?? ''}. Left and right arrows read bar by bar.`);
    }
    const row = store.selection === null ? undefined : store.rows.get(store.selection.symbol);
    if (row !== undefined) this.#chart.setDecimals(row.decimals);
    if (changes.bars === 'all') this.#chart.drawAll(this.#now());
    else if (changes.bars.size > 0) this.#chart.drawBars(changes.bars, this.#now());
    else if (row !== undefined && changes.rows !== 'all' && changes.rows.has(row.symbol)) this.#chart.drawOpenStretch(this.#now());
    const barsChanged = changes.bars === 'all' || changes.bars.size > 0;
    const indicatorsChanged = changes.indicators === 'all' || changes.indicators.size > 0;
    if (changes.indicators === 'all' || changes.bars === 'all') this.#chart.drawIndicators();
    else if (indicatorsChanged) this.#chart.drawIndicatorsAt(changes.indicators);
    if (changes.symbols || changes.selection) this.#controls.refresh();
    if (changes.symbols || changes.selection || changes.rows === 'all') this.#watchlist.draw('all');
    else if (changes.rows.size > 0) this.#watchlist.draw(changes.rows);
    const selectedMoved = changes.rows === 'all' || (row !== undefined && changes.rows.has(row.symbol));
    if (barsChanged || indicatorsChanged || changes.selection || selectedMoved) {
      this.#legend.draw();
      this.#chart.drawPrice();
      this.#chart.setIndicatorTexts(this.#legend.texts());
    }
    if (changes.origin) this.#drawOrigin();
    if (selectedMoved || changes.origin) this.#drawTitle();
    if (changes.metrics || changes.connection || changes.selection || changes.past) this.#strip.draw();
    if (changes.history || changes.connection || barsChanged) this.#drawCover();
  }

  #drawTitle(): void {
    const row = this.store.selection === null ? undefined : this.store.rows.get(this.store.selection.symbol);
    const badge = badgeOf(this.store.origin);
    const parts = [badge, row === undefined ? '' : `${fixed(priceNow(this.store), row.decimals)} ${row.symbol}`, 'Tickwire'];
    document.title = parts.filter((part) => part !== '').join(' · ');
  }

  /** Shows that the data are simulated or replayed: they must never be taken for a market. */
  #drawOrigin(): void {
    const { origin } = this.store;
    const badge = badgeOf(origin);
    const name = origin.provider ?? '';
    setText(byId('origin-badge'), badge);
    // A provider whose name the badge shows already is not repeated.
    setText(byId('origin-provider'), name.toUpperCase() === badge ? '' : name);
    this.#origin.hidden = badge === '';
    this.#chart.setWatermark(badge);
  }

  #now(): Now {
    const { selection, rows } = this.store;
    return { time: toSeconds(this.clock.now()), feed: (selection === null ? undefined : rows.get(selection.symbol))?.feed ?? null };
  }

  /** Explains an empty chart; over bars, says when they are no longer updated. */
  #drawCover(): void {
    const { series, history, historyError, connection } = this.store;
    const old = connection.phase === 'stale' || connection.phase === 'waiting' || connection.reason !== '';
    document.body.toggleAttribute('data-old', old);
    let text = '';
    if (series.length === 0) {
      if (history === 'loading') text = 'Loading…';
      else if (history === 'failed') text = `No history: ${historyError}`;
      else text = 'No bars yet. The first trade makes one.';
    }
    setText(this.#cover, text);
    this.#cover.hidden = text === '';
  }

  #repaint(): void {
    // The switch reports once while the page is still being assembled.
    if ((this.#strip as Strip | undefined) === undefined) return;
    const palette = this.#theme.palette();
    this.#chart.setPalette(palette, this.#now());
    this.#watchlist.setPalette(palette);
  }

  #chartKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 10 : 1;
    if (event.key === 'ArrowLeft') this.#chart.step(-step);
    else if (event.key === 'ArrowRight') this.#chart.step(step);
    else if (event.key === 'Escape') this.#chart.leave();
    else if (event.key === '+' || event.key === '=') this.#chart.zoom(1.25);
    else if (event.key === '-') this.#chart.zoom(0.8);
    else return;
    event.preventDefault();
    if (event.key.startsWith('Arrow')) this.#speak();
  }

  /** Reads the bar under the crosshair to whoever listens. */
  #speak(): void {
    const { time, open, high, low, close, volume, state } = this.#legend.texts();
    const before = this.#chart.emptyBefore;
    const gap = before === undefined ? '' : `after ${spanText(before.to - before.from)}, ${CAUSE_TEXTS[before.cause]}: `;
    setText(this.#spoken, `${gap}${time ?? ''}: open ${open ?? ''}, high ${high ?? ''}, low ${low ?? ''}, close ${close ?? ''}, volume ${volume ?? ''}, ${state ?? ''}`);
  }
}
