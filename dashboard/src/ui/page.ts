/**
 * The page as a whole: assembles the parts, draws at a steady rate what has changed in the store, and carries out the
 * user's commands. The address holds the view (see `model/view.ts`), so a reload or a bookmark shows the same; what the
 * user chose is kept for the next visit.
 */

import type { AlertFeed } from '../api/alert-feed';
import type { Feed } from '../api/feed';
import type { ServerClock } from '../helpers/server-clock';
import { toSeconds } from '../helpers/time';
import type { Zone } from '../helpers/zone';
import { badgeOf } from '../model/origin';
import type { Preferences } from '../model/preferences';
import type { Store } from '../model/store';
import type { Now } from '../model/stretches';
import { findSymbol } from '../model/symbols';
import type { PageName, PartialView } from '../model/view';
import { DEFAULT_WINDOWS, windowSeconds } from '../model/windows';
import { Address, type Cause } from './address';
import { AlertView } from './alerts';
import { AnomalyView } from './anomalies';
import { BarChart } from './chart';
import { ChartControls } from './chart-controls';
import { ChartKeyboard } from './chart-keyboard';
import { Cover } from './cover';
import { LETTERS_SHOWN } from './dead-letters';
import { byId, Pace } from './dom';
import { Header } from './header';
import { IncidentOnChart } from './incident-on-chart';
import { Legend, type Switch } from './legend';
import { Notices } from './notices';
import type { PreferenceStore } from './preferences';
import { Search } from './search';
import { Shortcuts } from './shortcuts';
import { Strip } from './strip';
import { SystemView } from './system';
import { ThemeSwitch } from './theme';
import { Watchlist } from './watchlist';
import { WindowSelector } from './window-selector';

/** Ten draws a second: nobody can read a price that changes faster. */
const DRAW_INTERVAL_MS = 100;
const SECOND_MS = 1000;

export class Page {
  readonly #address = new Address((view) => {
    this.open(view);
  });
  readonly #theme: ThemeSwitch;
  readonly #chart: BarChart;
  readonly #legend: Legend;
  readonly #controls: ChartControls;
  readonly #watchlist: Watchlist;
  readonly #windows: WindowSelector;
  readonly #strip: Strip;
  readonly #notices: Notices;
  readonly #system: SystemView;
  readonly #anomalies: AnomalyView;
  readonly #alerts: AlertView;
  readonly #incidentOnChart: IncidentOnChart;
  readonly #pace = new Pace(DRAW_INTERVAL_MS, () => {
    this.#draw();
  });
  /** Another count in each frame of a scroll could not be read, and would lay out the page anew each time. */
  readonly #scrolledPace = new Pace(DRAW_INTERVAL_MS, () => {
    this.#drawAnomalies();
  });
  readonly #cover: Cover;
  readonly #header: Header;
  readonly #keyboard: ChartKeyboard;
  #pageName: PageName = 'chart';
  /** What is switched on, by name. */
  #overlays: readonly string[] = [];
  #panes: readonly string[] = [];
  /** What the address named, of which nothing else may be shown instead. */
  #asked: { readonly symbol: string | undefined; readonly window: string | undefined } = { symbol: undefined, window: undefined };

  constructor(
    private readonly store: Store,
    private readonly feed: Feed,
    private readonly alertFeed: AlertFeed,
    private readonly clock: ServerClock,
    private readonly preferences: PreferenceStore,
  ) {
    this.#notices = new Notices(byId('notices'));
    this.#header = new Header(store);
    this.#theme = new ThemeSwitch(
      preferences.current.theme,
      () => {
        this.#repaint();
      },
      (theme) => {
        preferences.change({ theme });
      },
    );
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
      settings: () => preferences.current,
      keep: (change) => {
        preferences.change(change);
      },
      zoneChanged: (zone) => {
        this.#chart.setZone(zone, this.#now());
        this.#legend.draw();
        this.#strip.draw();
        this.#anomalies.draw();
        this.#alerts.draw();
      },
      draw: () => {
        this.#draw();
      },
      went: () => {
        byId('chart').focus();
        this.#keyboard.speakBar();
      },
      caption: () => this.#legend.caption,
      say: (text) => {
        this.say(text);
      },
      toggleAnomalies: () => {
        this.#toggleAnomalies();
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
      marked: (ids) => {
        this.#anomalies.open(ids);
        this.#drawAnomalies();
      },
      scrolled: () => {
        this.#scrolledPace.request();
      },
    });
    this.#legend = new Legend(byId('legend'), store, zone, (what, isShown) => {
      this.#switch(what, isShown);
    });
    this.#keyboard = new ChartKeyboard(this.#chart, this.#legend);
    this.#watchlist = new Watchlist(
      byId('watch'),
      store,
      palette,
      clock,
      preferences,
      {
        select: (symbol, cause) => {
          this.show(symbol, store.selection?.window, cause);
        },
        watched: (symbols, column) => {
          feed.watch(symbols, column);
        },
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
    this.#cover = new Cover(byId('cover'), store, preferences, (symbol, window) => {
      this.show(symbol, window);
      byId('chart').focus();
    });
    this.#strip = new Strip(byId('strip'), store, clock, zone, () => {
      this.#toggle('system');
    });
    this.#system = new SystemView(byId('system'), store, palette, zone, {
      closed: () => {
        this.#toggle('system');
      },
      deadLetters: () => feed.deadLetters(LETTERS_SHOWN),
    });
    this.#anomalies = new AnomalyView(byId('anomalies'), store, zone, {
      shown: () => this.#chart.visibleAnomalies,
      chosen: (anomaly, isFar) => {
        this.#chart.chooseAnomaly(anomaly, isFar);
      },
      closed: () => {
        this.#toggleAnomalies();
      },
      speak: (text) => {
        this.#keyboard.speak(text);
      },
    });
    this.#alerts = new AlertView(byId('alerts'), store, zone, () => clock.now(), preferences.current.reader, {
      closed: () => {
        this.#toggle('alerts');
      },
      shown: (incident) => {
        this.show(incident.symbol, store.selection?.window);
        this.#incidentOnChart.show(incident);
      },
      filtered: (filter) => {
        alertFeed.filter(filter);
      },
      named: (reader) => {
        preferences.change({ reader });
      },
      more: () => alertFeed.more(),
      decisions: (id) => alertFeed.decisions(id),
      acknowledge: (id, by) => alertFeed.acknowledge(id, by),
      silence: (silence, by) => alertFeed.silence(silence, by),
      endSilence: (id) => alertFeed.endSilence(id),
      say: (text) => {
        this.say(text);
      },
    });
    this.#incidentOnChart = new IncidentOnChart(store, {
      isSeen: () => this.#pageName === 'chart',
      goTo: (time) => this.#controls.goTo(time),
      open: (id) => {
        this.#anomalies.open([id]);
        this.#drawAnomalies();
      },
      say: (text) => {
        this.say(text);
      },
    });
    byId('alerts-open').addEventListener('click', () => {
      this.#toggle('alerts');
    });
    const shortcuts = new Shortcuts([
      { keys: ['/'], shown: '/', text: 'Search a symbol', run: () => { search.focus(); } },
      { keys: ['w'], shown: 'w', text: 'Go to the watchlist', run: () => { this.#watchlist.focus(); } },
      { keys: ['p'], shown: 'p', text: 'Pin the symbol to the top of the watchlist, or let go of it', run: () => { this.#watchlist.togglePin(); } },
      { keys: ['j', 'k'], shown: 'j k', text: 'Next or previous symbol, from anywhere', run: (key) => { this.#watchlist.move(key === 'j' ? 1 : -1); } },
      { keys: ['1', '2', '3', '4', '5', '6', '7', '8', '9'], shown: '1 … 9', text: 'Choose a window', run: (key) => { this.#windows.choose(Number(key) - 1); } },
      { keys: ['[', ']'], shown: '[ ]', text: 'Shorter or longer window', run: (key) => { this.#windows.step(key === ']' ? 1 : -1); } },
      { keys: ['c'], shown: 'c', text: 'Go to the chart', run: () => { byId('chart').focus(); } },
      { keys: ['n', 'End'], shown: 'n', text: 'Back to now', run: () => { this.#chart.toNow(); } },
      { keys: ['g'], shown: 'g', text: 'Go to a date', run: () => { this.#controls.askDate(); } },
      { keys: ['a'], shown: 'a', text: 'Anomalies of the bars on the screen', run: () => { this.#toggleAnomalies(); } },
      { keys: [',', '.'], shown: ', .', text: 'Previous or next anomaly', run: (key) => { this.#stepAnomaly(key === '.' ? 1 : -1); } },
      { keys: ['l'], shown: 'l', text: 'Logarithmic or linear prices', run: () => { this.#controls.toggleLogarithmic(); } },
      { keys: ['f'], shown: 'f', text: 'The chart on the whole screen', run: () => { this.#controls.toggleFullScreen(); } },
      { keys: ['s'], shown: 's', text: 'System: latency, throughput, ledger, feeds', run: () => { this.#toggle('system'); } },
      { keys: ['i'], shown: 'i', text: 'Alerts: incidents, what was decided about each, silences', run: () => { this.#toggle('alerts'); } },
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
    this.#controls.refresh();
    setInterval(() => {
      // The title is the only part of a background page that is visible.
      if (document.hidden) this.#header.drawTitle();
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

  /** What the address names. */
  get address(): PartialView {
    return this.#address.view;
  }

  /** Shows a symbol and window, unless they are shown already. */
  show(symbol: string | undefined, window: string | undefined, cause: Cause = 'choice'): void {
    const { selection } = this.store;
    if (symbol === undefined || window === undefined) return;
    if (selection?.symbol !== symbol || selection.window !== window) {
      this.feed.select(symbol, window);
      this.#windows.show(window);
      this.#watchlist.follow(symbol);
      this.#pace.flush();
    }
    // Who chooses a symbol wants to see it.
    if (cause === 'choice') this.#showPage('chart');
    this.#writeAddress(cause);
  }

  #writeAddress(cause: Cause): void {
    const { selection } = this.store;
    if (selection === null) return;
    this.#address.show({ ...selection, overlays: this.#overlays, panes: this.#panes, page: this.#pageName }, cause);
  }

  #toggleAnomalies(): void {
    if (this.#anomalies.isOpen) {
      this.#anomalies.close();
      byId('chart').focus();
    } else {
      this.#showPage('chart');
      this.#anomalies.open();
    }
    this.#drawAnomalies();
  }

  #stepAnomaly(by: number): void {
    if (this.#pageName !== 'chart') return;
    this.#anomalies.step(by);
    this.#drawAnomalies();
  }

  /** Draws the list of anomalies, and how many there are. */
  #drawAnomalies(): void {
    this.#anomalies.draw();
    this.#controls.showAnomalies(this.#chart.visibleAnomalies.length, this.#anomalies.isOpen);
  }

  /** Goes to a view over the chart, or back from it. */
  #toggle(name: Exclude<PageName, 'chart'>): void {
    this.#showPage(this.#pageName === name ? 'chart' : name);
    this.#writeAddress('choice');
    if (this.#pageName === 'chart') byId('chart').focus();
  }

  /** Shows the chart and the list, or a view over them. */
  #showPage(name: PageName): void {
    if (name === this.#pageName) return;
    this.#pageName = name;
    for (const id of ['stage', 'watch-side']) byId(id).inert = name !== 'chart';
    const [isSystem, isAlerts] = [name === 'system', name === 'alerts'];
    this.#strip.showSystem(isSystem);
    byId('alerts-open').setAttribute('aria-pressed', String(isAlerts));
    if (!isSystem) this.#system.close();
    if (!isAlerts) this.#alerts.close();
    if (isSystem) this.#system.open();
    if (isAlerts) this.#alerts.open();
    void this.feed.followSystem(isSystem);
    this.alertFeed.follow(isAlerts);
  }

  /** Shows the view that an address names; what it leaves out is as it is, or as it was at the last visit. */
  open(view: PartialView): void {
    const { selection } = this.store;
    const { current } = this.preferences;
    this.#apply({ overlays: view.overlays ?? current.overlays, panes: view.panes ?? current.panes });
    const symbol = view.symbol ?? selection?.symbol ?? current.symbol ?? undefined;
    const window = view.window ?? selection?.window ?? current.window ?? DEFAULT_WINDOWS[0];
    this.#showPage(view.page);
    this.#asked = { symbol: view.symbol, window: view.window };
    this.show(symbol, window, 'adjustment');
  }

  /**
   * Takes the symbols and windows that the server has. What was remembered and is gone gives way to what there is; what
   * the address asked for stays, and the cover offers a way back.
   */
  settle(symbols: readonly string[], windows: readonly string[]): void {
    this.store.setServed(symbols, windows);
    if (windows.length > 0) this.setWindows(windows);
    const { selection } = this.store;
    const known = (name: string, list: readonly string[]): boolean => list.length === 0 || list.includes(name);
    const [firstWindow = DEFAULT_WINDOWS[0]] = windows;
    let symbol = selection?.symbol;
    if (symbol === undefined || !known(symbol, symbols)) symbol = findSymbol(symbols, symbol ?? '') ?? this.#asked.symbol ?? symbols[0];
    let window = selection?.window;
    if (window === undefined || !known(window, windows)) window = this.#asked.window ?? firstWindow;
    this.show(symbol, window, 'adjustment');
    this.#cover.draw();
  }

  /** Switches lines or a pane on or off, as the user asks, and keeps it. */
  #switch({ kind, names }: Switch, isShown: boolean): void {
    const others = (kind === 'panes' ? this.#panes : this.#overlays).filter((name) => !names.includes(name));
    const change = { [kind]: isShown ? [...others, ...names] : others };
    this.#apply(change);
    this.preferences.change(change);
    this.#writeAddress('adjustment');
  }

  #apply({ overlays = this.#overlays, panes = this.#panes }: Partial<Pick<Preferences, 'overlays' | 'panes'>>): void {
    this.#overlays = overlays;
    this.#panes = panes;
    const [lines, below] = [new Set(overlays), new Set(panes)];
    this.#chart.setIndicators(lines, below);
    this.#legend.showSwitched(lines, below);
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
      origin: this.#header.origin,
      bars: store.series.bars,
      legend: this.#legend.texts(),
      watchlist: this.#watchlist.texts(),
      sort: this.#watchlist.head['sort'],
      strip: this.#strip.texts(),
      theme: this.#theme.theme,
      anomalies: store.anomalies.list,
      anomalyList: this.#anomalies.isOpen ? this.#anomalies.texts() : null,
      alerts: this.#alerts.isOpen ? this.#alerts.texts() : null,
      openAlerts: this.#header.openAlerts,
      system: this.#system.isOpen ? this.#system.texts() : null,
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
    if (changes.selection) this.#anomalies.reset();
    if (changes.anomalies && changes.bars !== 'all') this.#chart.drawAnomalies();
    if (changes.anomalies || changes.bars === 'all' || changes.selection) this.#drawAnomalies();
    const barsChanged = changes.bars === 'all' || changes.bars.size > 0;
    const indicatorsChanged = changes.indicators === 'all' || changes.indicators.size > 0;
    if (changes.indicators === 'all' || changes.bars === 'all') this.#chart.drawIndicators();
    else if (indicatorsChanged) this.#chart.drawIndicatorsAt(changes.indicators);
    if (changes.symbols || changes.selection) this.#controls.refresh();
    if (changes.symbols) {
      this.#watchlist.refresh();
      if (store.selection !== null) this.#watchlist.follow(store.selection.symbol);
    } else if (changes.selection || changes.rows === 'all') this.#watchlist.draw('all');
    else if (changes.rows.size > 0) this.#watchlist.draw(changes.rows);
    const selectedMoved = changes.rows === 'all' || (row !== undefined && changes.rows.has(row.symbol));
    if (barsChanged || indicatorsChanged || changes.selection || selectedMoved) {
      this.#legend.draw();
      this.#chart.drawPrice();
      this.#chart.setIndicatorTexts(this.#legend.texts());
    }
    if (changes.system && this.#system.isOpen) this.#system.draw();
    if (changes.alerts) {
      this.#header.drawAlerts(this.#alerts.isOpen);
      this.#alerts.draw();
    }
    if (changes.history || changes.anomalies) this.#incidentOnChart.draw();
    if (changes.origin) {
      this.#header.drawOrigin();
      this.#chart.setWatermark(badgeOf(store.origin));
    }
    if (selectedMoved || changes.origin || changes.alerts) this.#header.drawTitle();
    if (changes.metrics || changes.connection || changes.selection || changes.past) this.#strip.draw();
    if (changes.connection) this.#header.drawAge();
    if (changes.history || changes.symbols || barsChanged) this.#cover.draw();
    if (changes.history) this.#remember();
  }

  /** Keeps for the next visit what is shown, once the server has shown that it exists. */
  #remember(): void {
    const { selection, history } = this.store;
    const { symbol, window } = this.preferences.current;
    if (selection === null || history !== 'ready') return;
    if (selection.symbol !== symbol || selection.window !== window) this.preferences.change({ symbol: selection.symbol, window: selection.window });
  }

  #now(): Now {
    const { selection, rows } = this.store;
    return { time: toSeconds(this.clock.now()), feed: (selection === null ? undefined : rows.get(selection.symbol))?.feed ?? null };
  }

  #repaint(): void {
    // The switch reports once while the page is still being assembled.
    if ((this.#system as SystemView | undefined) === undefined) return;
    const palette = this.#theme.palette();
    this.#chart.setPalette(palette, this.#now());
    this.#watchlist.setPalette(palette);
    this.#system.setPalette(palette);
  }
}
