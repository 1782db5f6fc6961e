/**
 * What the reader does with the chart as a whole: chooses zone and scale, goes to a date, takes bars or a picture along,
 * sees it alone. The buttons are those of `tools.ts`; keys call the same methods.
 */

import type { Feed } from '../api/feed';
import type { EpochSeconds } from '../helpers/nominal';
import type { ServerClock } from '../helpers/server-clock';
import { instantText, toSeconds } from '../helpers/time';
import { UTC, Zone } from '../helpers/zone';
import { barsCsv } from '../model/bars-csv';
import { badgeOf } from '../model/origin';
import { BARS_MAX, type Store } from '../model/store';
import { type ZoneChoice, zoneOf } from '../model/zones';
import type { BarChart } from './chart';
import { DateDialog } from './date-dialog';
import { drawPicture, toPng } from './picture';
import { saveFile } from './save';
import type { Palette } from './theme';
import { Tools } from './tools';

/** What of it is kept for the next visit. */
export interface ChartSettings {
  readonly timeZone: ZoneChoice;
  readonly logScale: boolean;
}

export interface ControlsOptions {
  /** Everything that lies in the chart's part of the page, for full screen. */
  readonly stage: HTMLElement;
  readonly tools: HTMLElement;
  readonly store: Store;
  readonly feed: Feed;
  readonly clock: ServerClock;
  readonly chart: () => BarChart;
  readonly palette: () => Palette;
  readonly settings: () => ChartSettings;
  /** Keeps a change. */
  readonly keep: (change: Partial<ChartSettings>) => void;
  /** The zone is another one: what shows times must be drawn again. */
  readonly zoneChanged: (zone: Zone) => void;
  /** Draws at once what has changed. */
  readonly draw: () => void;
  /** The chart went to a date. */
  readonly went: () => void;
  /** The lines above a picture. */
  readonly caption: () => readonly string[];
  readonly say: (text: string) => void;
  readonly toggleAnomalies: () => void;
}

export class ChartControls {
  readonly #tools: Tools;
  readonly #dialog: DateDialog;
  readonly #local = localZone();
  #zone: Zone;

  constructor(private readonly options: ControlsOptions) {
    this.#zone = this.#wantedZone();
    this.#tools = new Tools(options.tools, {
      askDate: () => { this.askDate(); },
      setZone: (timeZone) => { this.#change({ timeZone }); },
      setLogarithmic: (logScale) => { this.#change({ logScale }); },
      saveCsv: () => { this.#saveCsv(); },
      savePicture: () => void this.#savePicture(),
      toggleFullScreen: () => { this.toggleFullScreen(); },
      toggleAnomalies: options.toggleAnomalies,
    });
    this.#dialog = new DateDialog((wall) => this.goTo(this.#zone.instant(wall)), options.went);
  }

  /** The zone that all times are shown in. */
  get zone(): Zone {
    return this.#zone;
  }

  /** Follows the settings, and the symbol that is shown. */
  refresh(): void {
    const { timeZone, logScale } = this.options.settings();
    this.options.chart().setLogarithmic(logScale);
    this.#tools.show({ zone: timeZone, local: this.#local, assetClass: this.options.store.assetClass, isLogarithmic: logScale });
    const zone = this.#wantedZone();
    if (zone === this.#zone) return;
    this.#zone = zone;
    this.options.zoneChanged(zone);
  }

  /** Shows how many anomalies are on the screen, and whether their list is open. */
  showAnomalies(count: number, isOpen: boolean): void {
    this.#tools.showAnomalies(count, isOpen);
  }

  askDate(): void {
    const { store, chart, clock } = this.options;
    // What is proposed is what is in the middle of the screen.
    const bars = chart().visibleBars;
    const bar = bars[Math.floor(bars.length / 2)] ?? store.series.newest;
    const time = bar?.start ?? toSeconds(clock.now());
    this.#dialog.open(this.#zone.wall(time), this.#zone.abbreviation(time));
  }

  toggleLogarithmic(): void {
    this.#change({ logScale: !this.options.settings().logScale });
  }

  toggleFullScreen(): void {
    // A browser may refuse, as it does outside a user's gesture; then nothing changes, and nothing is lost.
    if (document.fullscreenElement === null) this.options.stage.requestFullscreen().catch(() => undefined);
    else document.exitFullscreen().catch(() => undefined);
  }

  #change(change: Partial<ChartSettings>): void {
    this.options.keep(change);
    this.refresh();
  }

  #wantedZone(): Zone {
    return zoneOf(this.options.settings().timeZone, this.#local, this.options.store.assetClass);
  }

  /** Goes to a time; returns why it cannot, or nothing. */
  async goTo(time: EpochSeconds): Promise<string> {
    const { store, feed, chart, draw } = this.options;
    const end = await feed.loadBackTo(time);
    const { bars } = store.series;
    const bar = bars.find((each) => each.end > time) ?? bars.at(-1);
    if (bar === undefined) return 'There are no bars.';
    // Bars that were loaded just now have their places on the time scale once they are drawn.
    draw();
    chart().goTo(bar);
    const first = instantText(bar.start, this.#zone);
    if (end === 'start') return `Bars begin at ${first}.`;
    if (end === 'full') return `A chart holds ${BARS_MAX.toLocaleString('en-US')} bars, here back to ${first}. With longer windows it reaches further.`;
    return end === 'failed' ? 'Older bars could not be loaded.' : '';
  }

  #saveCsv(): void {
    const { store, chart, say } = this.options;
    const bars = chart().visibleBars;
    if (store.selection === null || bars.length === 0) {
      say('no bars on the screen');
      return;
    }
    const text = barsCsv(store.selection, bars, store.indicators, chart().shownIndicators);
    saveFile(`${this.#fileName()}.csv`, new Blob([text], { type: 'text/csv' }));
  }

  async #savePicture(): Promise<void> {
    const { store, chart, palette, caption } = this.options;
    const { fontFamily } = getComputedStyle(document.body);
    const canvas = drawPicture(chart().picture(), caption(), badgeOf(store.origin), palette(), fontFamily);
    saveFile(`${this.#fileName()}.png`, await toPng(canvas));
  }

  /** `AAPL-1min-2026-11-26T14-03Z`: symbol, window, and the end of the last bar on the screen. */
  #fileName(): string {
    const { store, chart, clock } = this.options;
    const end = chart().visibleBars.at(-1)?.end ?? toSeconds(clock.now());
    const time = UTC.wall(end).toISOString().slice(0, 16).replace(':', '-');
    const name = store.selection === null ? 'chart' : `${store.selection.symbol}-${store.selection.window}`;
    return `${name.replaceAll(/[^\w.-]/g, '_')}-${time}Z`;
  }
}

/** The reader's zone; UTC where the browser names none that it knows. */
function localZone(): Zone {
  try {
    return new Zone(Intl.DateTimeFormat().resolvedOptions().timeZone);
  } catch {
    return UTC;
  }
}
