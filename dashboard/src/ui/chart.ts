/**
 * The chart: candles, VWAP, volume, marks. Promises: after a change of one bar only that bar is drawn again; what is
 * older than the screen's edge is asked for before it is reached; the place somebody looks at stays when history comes in.
 *
 * Colours carry meaning twice: an amended bar has a dot above it, a bar that is not whole is hollow and has a square
 * below it, so neither depends on telling colours apart.
 */

import {
  CandlestickSeries,
  type CandlestickData,
  createChart,
  createSeriesMarkers,
  CrosshairMode,
  HistogramSeries,
  type HistogramData,
  type IChartApi,
  type ISeriesApi,
  type ISeriesMarkersPluginApi,
  LineSeries,
  type LineData,
  LineStyle,
  type PriceFormatCustom,
  type SeriesMarker,
  type Time,
  type UTCTimestamp,
  type WhitespaceData,
} from 'lightweight-charts';

import { fixed } from '../helpers/format';
import type { EpochSeconds } from '../helpers/nominal';
import { instantText } from '../helpers/time';
import { type Bar, isAmended, isPartial } from '../model/bar';
import type { Indicators, IndicatorName } from '../model/indicators';
import type { Store } from '../model/store';
import type { Palette } from './theme';

/** Bars left of the screen at which older ones are asked for: about a screen, so that a steady scroll meets no edge. */
const LOAD_AHEAD_BARS = 120;

/** Free space right of the newest bar. */
const RIGHT_OFFSET_BARS = 8;

/** Lines that the legend's buttons switch on, and their colours. */
export const OVERLAYS: Readonly<Partial<Record<IndicatorName, string>>> = {
  sma_20: '#d96b9c',
  sma_50: '#a47de0',
  sma_200: '#7a86a8',
  ema_12: '#2fa8b5',
  ema_26: '#5f7de0',
  bb_upper: '#8a96a8',
  bb_middle: '#a8927a',
  bb_lower: '#8a96a8',
};

export interface ChartListener {
  /** The left edge is near. */
  nearStart(): void;
  /** The crosshair stands on a bar, or on none. */
  pointed(start: EpochSeconds | null): void;
  /** The newest bar came into view, or left it. */
  followed(atNow: boolean): void;
}

export class BarChart {
  readonly #chart: IChartApi;
  readonly #candles: ISeriesApi<'Candlestick'>;
  readonly #volume: ISeriesApi<'Histogram'>;
  readonly #vwap: ISeriesApi<'Line'>;
  readonly #markers: ISeriesMarkersPluginApi<Time>;
  readonly #overlays = new Map<IndicatorName, ISeriesApi<'Line'>>();
  #palette: Palette;
  #decimals = 2;
  /** Kept here, since the library copies all its data when asked for the last of it. */
  #newestDrawn = 0;
  #pointed: EpochSeconds | null = null;
  /** The bar that the keyboard chose; it keeps the crosshair while new bars push it to the left. */
  #held: EpochSeconds | null = null;
  #marked: readonly SeriesMarker<Time>[] = [];
  /** What is marked at each bar that is: marks are set anew only when this changes, however often such a bar moves. */
  readonly #marksAt = new Map<EpochSeconds, string>();

  constructor(
    private readonly container: HTMLElement,
    private readonly store: Store,
    palette: Palette,
    private readonly listener: ChartListener,
  ) {
    this.#palette = palette;
    this.#chart = createChart(container, {
      autoSize: true,
      layout: { fontFamily: getComputedStyle(document.body).fontFamily, fontSize: 11, attributionLogo: true },
      crosshair: { mode: CrosshairMode.Normal },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.16, bottom: 0.24 } },
      timeScale: { borderVisible: false, timeVisible: true, rightOffset: RIGHT_OFFSET_BARS, barSpacing: 8, minBarSpacing: 0.8 },
      localization: { timeFormatter: (time: Time) => `${instantText(time as unknown as EpochSeconds)} UTC` },
    });
    this.#volume = this.#chart.addSeries(HistogramSeries, {
      priceScaleId: 'volume',
      priceFormat: { type: 'volume' },
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.#chart.priceScale('volume').applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    this.#candles = this.#chart.addSeries(CandlestickSeries, { priceLineStyle: LineStyle.Dotted });
    this.#vwap = this.#chart.addSeries(LineSeries, {
      lineWidth: 1,
      lastValueVisible: false,
      priceLineVisible: false,
      crosshairMarkerVisible: false,
    });
    this.#markers = createSeriesMarkers(this.#candles, []);
    this.setPalette(palette);

    this.#chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range === null) return;
      if (range.from < LOAD_AHEAD_BARS) listener.nearStart();
      listener.followed(range.to >= this.store.series.length - 1);
    });
    this.#chart.subscribeCrosshairMove((event) => {
      // Not the pointer, but the chart moved under a bar that was chosen by keyboard: that bar stays chosen.
      if (event.sourceEvent === undefined && this.#held !== null) return;
      this.#held = null;
      this.#pointed = event.time === undefined ? null : (event.time as unknown as EpochSeconds);
      listener.pointed(this.#pointed);
    });
  }

  /** What is drawn, for tests. */
  get drawn(): { readonly candles: readonly unknown[]; readonly volume: readonly unknown[]; readonly vwap: readonly unknown[]; readonly markers: readonly SeriesMarker<Time>[]; readonly range: unknown } {
    return {
      candles: this.#candles.data(),
      volume: this.#volume.data(),
      vwap: this.#vwap.data(),
      markers: this.#marked,
      range: this.#chart.timeScale().getVisibleLogicalRange(),
    };
  }

  setPalette(palette: Palette): void {
    this.#palette = palette;
    this.#chart.applyOptions({
      layout: { background: { color: palette.ground }, textColor: palette.text, panes: { separatorColor: palette.line } },
      grid: { vertLines: { color: palette.line }, horzLines: { color: palette.line } },
      crosshair: {
        vertLine: { color: palette.crosshair, labelBackgroundColor: palette.label },
        horzLine: { color: palette.crosshair, labelBackgroundColor: palette.label },
      },
    });
    this.#candles.applyOptions({
      upColor: palette.up,
      downColor: palette.down,
      borderUpColor: palette.up,
      borderDownColor: palette.down,
      wickUpColor: palette.up,
      wickDownColor: palette.down,
    });
    this.#vwap.applyOptions({ color: palette.vwap });
    this.drawAll();
  }

  /** Draws every bar anew. */
  drawAll(): void {
    const { bars } = this.store.series;
    this.#candles.setData(bars.map((bar) => this.#candle(bar)));
    this.#volume.setData(bars.map((bar) => this.#volumeBar(bar)));
    this.#vwap.setData(bars.map(vwapPoint));
    this.#newestDrawn = bars.at(-1)?.start ?? 0;
    this.#mark();
    this.#hold();
  }

  /** Draws the bars that begin at these times, and nothing else. */
  drawBars(starts: Iterable<EpochSeconds>): void {
    let marks = false;
    for (const start of [...starts].sort((a, b) => a - b)) {
      const bar = this.store.series.at(start);
      if (bar === undefined) continue;
      const earlier = start < this.#newestDrawn;
      if (!earlier) this.#newestDrawn = start;
      this.#candles.update(this.#candle(bar), earlier);
      this.#volume.update(this.#volumeBar(bar), earlier);
      this.#vwap.update(vwapPoint(bar), earlier);
      marks ||= marksOf(bar) !== (this.#marksAt.get(start) ?? '');
    }
    if (marks) this.#mark();
    this.#hold();
  }

  /** Draws the lines that are switched on. */
  drawOverlays(): void {
    for (const [name, series] of this.#overlays) {
      series.setData(this.store.series.bars.map((bar) => overlayPoint(bar, this.store.indicators.get(bar.end), name)));
    }
  }

  /** Draws the points of the bars that end at these times, and nothing else. */
  drawOverlaysAt(ends: Iterable<EpochSeconds>): void {
    if (this.#overlays.size === 0) return;
    const newest = this.store.series.newest;
    if (newest === undefined) return;
    const length = newest.end - newest.start;
    for (const end of [...ends].sort((a, b) => a - b)) {
      const bar = this.store.series.at((end - length) as EpochSeconds);
      if (bar === undefined) continue;
      for (const [name, series] of this.#overlays) {
        series.update(overlayPoint(bar, this.store.indicators.get(end), name), bar.start < newest.start);
      }
    }
  }

  /** Switches a line on or off; true when it is on now. */
  toggleOverlay(name: IndicatorName): boolean {
    const shown = this.#overlays.get(name);
    if (shown !== undefined) {
      this.#chart.removeSeries(shown);
      this.#overlays.delete(name);
      return false;
    }
    const series = this.#chart.addSeries(LineSeries, {
      color: OVERLAYS[name] ?? this.#palette.text,
      lineWidth: 1,
      lastValueVisible: false,
      priceLineVisible: false,
      crosshairMarkerVisible: false,
      priceFormat: this.#priceFormat(),
    });
    this.#overlays.set(name, series);
    this.drawOverlays();
    return true;
  }

  /** Digits of the price scale. */
  setDecimals(decimals: number): void {
    if (decimals === this.#decimals) return;
    this.#decimals = decimals;
    this.#candles.applyOptions({ priceFormat: this.#priceFormat() });
    this.#vwap.applyOptions({ priceFormat: this.#priceFormat() });
  }

  /** Says in the time scale whether seconds matter. */
  setWindow(seconds: number): void {
    this.#chart.timeScale().applyOptions({ secondsVisible: seconds < 60 });
    this.#chart.timeScale().resetTimeScale();
    this.#chart.priceScale('right').applyOptions({ autoScale: true });
  }

  toNow(): void {
    // Not animated: an update of a bar ends the library's animation wherever it is.
    this.#chart.timeScale().scrollToPosition(RIGHT_OFFSET_BARS, false);
  }

  /** Moves the crosshair by whole bars; from the newest one when it stands nowhere. */
  step(bars: number): void {
    const list = this.store.series.bars;
    const from = this.#pointed === null ? list.length : list.findIndex((bar) => bar.start === this.#pointed);
    const index = Math.min(list.length - 1, Math.max(0, from + bars));
    const bar = list[index];
    if (bar === undefined) return;
    const range = this.#chart.timeScale().getVisibleLogicalRange();
    if (range !== null && (index < range.from || index > range.to)) {
      const shift = index < range.from ? index - range.from - 5 : index - range.to + 5;
      this.#chart.timeScale().setVisibleLogicalRange({ from: range.from + shift, to: range.to + shift });
    }
    this.#held = bar.start;
    this.#hold();
    // The library tells of the pointer's moves only.
    this.#pointed = bar.start;
    this.listener.pointed(bar.start);
  }

  leave(): void {
    this.#held = null;
    this.#chart.clearCrosshairPosition();
    this.#pointed = null;
    this.listener.pointed(null);
  }

  /** Makes bars wider (above 1) or narrower. */
  zoom(factor: number): void {
    const scale = this.#chart.timeScale();
    scale.applyOptions({ barSpacing: Math.min(60, Math.max(0.8, scale.options().barSpacing * factor)) });
  }

  destroy(): void {
    this.#chart.remove();
    this.container.replaceChildren();
  }

  #hold(): void {
    const bar = this.#held === null ? undefined : this.store.series.at(this.#held);
    if (bar !== undefined) this.#chart.setCrosshairPosition(bar.close, bar.start as unknown as UTCTimestamp, this.#candles);
  }

  #priceFormat(): PriceFormatCustom {
    const decimals = this.#decimals;
    return { type: 'custom', minMove: 10 ** -decimals, formatter: (price: number) => fixed(price, decimals) };
  }

  #candle(bar: Bar): CandlestickData {
    const { start: time, open, high, low, close } = bar;
    const candle = { time: time as unknown as UTCTimestamp, open, high, low, close };
    if (!isPartial(bar)) return candle;
    return { ...candle, color: this.#palette.ground };
  }

  #volumeBar(bar: Bar): HistogramData {
    const color = bar.close >= bar.open ? this.#palette.upFaint : this.#palette.downFaint;
    return { time: bar.start as unknown as UTCTimestamp, value: bar.volume, color };
  }

  #mark(): void {
    const markers: SeriesMarker<Time>[] = [];
    this.#marksAt.clear();
    for (const bar of this.store.series.bars) {
      const marks = marksOf(bar);
      if (marks === '') continue;
      this.#marksAt.set(bar.start, marks);
      const time = bar.start as unknown as UTCTimestamp;
      if (isAmended(bar)) {
        markers.push({ time, position: 'aboveBar', shape: 'circle', color: this.#palette.amended, size: 0.5, id: 'amended' });
      }
      if (isPartial(bar)) {
        markers.push({ time, position: 'belowBar', shape: 'square', color: this.#palette.partial, size: 0.5, id: 'partial' });
      }
    }
    this.#marked = markers;
    this.#markers.setMarkers(markers);
  }
}

/** The names of a bar's marks. */
function marksOf(bar: Bar): string {
  return `${isAmended(bar) ? 'amended ' : ''}${isPartial(bar) ? 'partial' : ''}`;
}

function vwapPoint(bar: Bar): LineData | WhitespaceData {
  const time = bar.start as unknown as UTCTimestamp;
  return bar.vwap === null ? { time } : { time, value: bar.vwap };
}

function overlayPoint(bar: Bar, indicators: Indicators | undefined, name: IndicatorName): LineData | WhitespaceData {
  const time = bar.start as unknown as UTCTimestamp;
  const value = indicators?.values[name];
  return value === null || value === undefined ? { time } : { time, value };
}
