/**
 * The chart: candles, VWAP, volume, marks, and the empty stretches between bars. Promises: time is drawn to scale except
 * for stretches that are marked as cut (see `model/stretches.ts`); after a change of one bar only that bar is redrawn; older
 * bars are requested before the user scrolls to the edge; the visible range stays where it is when history arrives.
 *
 * Nothing depends on telling colours apart: an amended bar has a dot above it, an incomplete bar is hollow and has a
 * square below it.
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
import { CUT_PLACES, lastPlace, type Now, placesMax, placesOf, scaleLimit, type Stretch, stretchAt, stretchBetween, stretchesOf, stretchUntil } from '../model/stretches';
import { StretchMarks } from './stretch-marks';
import type { Palette } from './theme';

/** Bars left of the screen at which older ones are requested: about a screen, so that steady scrolling never stops. */
const LOAD_AHEAD_BARS = 120;

/** Free space right of the newest bar. */
const RIGHT_OFFSET_BARS = 8;

/** Multiple of the allowed empty places at which everything is redrawn with a lower limit for stretches to scale. */
const CROWD_FACTOR = 3;

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
  /** The user has scrolled near the oldest bar. */
  nearStart(): void;
  /** The crosshair moved: to a bar, into an empty stretch, or off the chart. */
  pointed(time: EpochSeconds | null, stretch: Stretch | null): void;
  /** The newest bar became visible, or is no longer. */
  followed(atNow: boolean): void;
}

export class BarChart {
  readonly #chart: IChartApi;
  readonly #candles: ISeriesApi<'Candlestick'>;
  readonly #volume: ISeriesApi<'Histogram'>;
  readonly #vwap: ISeriesApi<'Line'>;
  /** Holds the places of empty windows on the time scale; invisible. */
  readonly #spacer: ISeriesApi<'Line'>;
  readonly #stretchMarks: StretchMarks;
  readonly #markers: ISeriesMarkersPluginApi<Time>;
  readonly #overlays = new Map<IndicatorName, ISeriesApi<'Line'>>();
  #palette: Palette;
  #decimals = 2;
  /** A copy: the library copies all its data when asked for the last point. */
  #newestDrawn = 0;
  #stretches: Stretch[] = [];
  /** Windows of the longest stretch drawn to scale; 0 before there are bars. */
  #limit = 0;
  /** Places of the spacer, and the last of them. */
  #numPlaces = 0;
  #lastPlace = 0;
  /** True when the spacer has places that no stretch uses any more. */
  #isCrowded = false;
  #pointed: EpochSeconds | null = null;
  /** The bar chosen by keyboard; it keeps the crosshair while new bars move it to the left. */
  #held: EpochSeconds | null = null;
  #marked: readonly SeriesMarker<Time>[] = [];
  /** The marks of each marked bar. They are set again only when this changes, however often such a bar is updated. */
  readonly #marksAt = new Map<EpochSeconds, string>();

  constructor(
    private readonly container: HTMLElement,
    private readonly store: Store,
    palette: Palette,
    private readonly listener: ChartListener,
  ) {
    this.#palette = palette;
    const { fontFamily } = getComputedStyle(document.body);
    this.#chart = createChart(container, {
      autoSize: true,
      // The library's own logo comes with a style element, which a strict Content-Security-Policy forbids; the page has a
      // link in its place.
      layout: { fontFamily, fontSize: 11, attributionLogo: false },
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
    // A value and not whitespace, so that the end of the time scale is now, and not the newest bar.
    this.#spacer = this.#chart.addSeries(LineSeries, { visible: false, priceScaleId: 'spacer', lastValueVisible: false, priceLineVisible: false });
    this.#markers = createSeriesMarkers(this.#candles, []);
    this.#stretchMarks = new StretchMarks(fontFamily, palette);
    this.#candles.attachPrimitive(this.#stretchMarks);
    this.setPalette(palette, null);

    this.#chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range === null) return;
      if (range.from < LOAD_AHEAD_BARS) listener.nearStart();
      listener.followed(range.to >= this.#newestIndex());
    });
    this.#chart.subscribeCrosshairMove((event) => {
      // The chart moved, not the pointer: the bar that was chosen by keyboard stays chosen.
      if (event.sourceEvent === undefined && this.#held !== null) return;
      this.#held = null;
      this.#pointed = event.time === undefined ? null : (event.time as unknown as EpochSeconds);
      listener.pointed(this.#pointed, this.#pointed === null ? null : (stretchAt(this.#stretches, this.#pointed) ?? null));
    });
  }

  /** What is drawn, for tests. */
  get drawn(): { readonly candles: readonly unknown[]; readonly volume: readonly unknown[]; readonly vwap: readonly unknown[]; readonly markers: readonly SeriesMarker<Time>[]; readonly range: unknown; readonly left: unknown; readonly stretches: readonly unknown[] } {
    return {
      candles: this.#candles.data(),
      volume: this.#volume.data(),
      vwap: this.#vwap.data(),
      markers: this.#marked,
      range: this.#chart.timeScale().getVisibleLogicalRange(),
      left: this.#chart.timeScale().getVisibleRange()?.from ?? null,
      stretches: this.#stretches.map((stretch) => ({ ...stretch, drawn: this.#drawnPlaces(stretch) })),
    };
  }

  /** The empty stretch before the bar chosen by keyboard. */
  get emptyBefore(): Stretch | undefined {
    const bar = this.#held === null ? undefined : this.store.series.at(this.#held);
    return bar === undefined ? undefined : this.#emptyBefore(bar);
  }

  /** Sets the watermark across the chart; empty for none. */
  setWatermark(text: string): void {
    this.#stretchMarks.setWatermark(text);
  }

  setPalette(palette: Palette, now: Now | null): void {
    this.#palette = palette;
    this.#stretchMarks.setPalette(palette);
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
    this.drawAll(now);
  }

  /** Redraws every bar, and the stretches between them. */
  drawAll(now: Now | null): void {
    const { bars } = this.store.series;
    const limit = scaleLimit(bars);
    const isRescaled = this.#limit !== 0 && limit !== this.#limit;
    const place = isRescaled ? this.#place() : null;
    this.#limit = bars.length === 0 ? 0 : limit;
    this.#stretches = stretchesOf(bars, now, limit);
    const places = this.#stretches.flatMap(placesOf);
    this.#numPlaces = places.length;
    this.#isCrowded = false;
    this.#lastPlace = places.at(-1) ?? 0;
    this.#spacer.setData(places.map(placePoint));
    this.#stretchMarks.setStretches(this.#stretches);
    this.#candles.setData(bars.map((bar) => this.#candle(bar)));
    this.#volume.setData(bars.map((bar) => this.#volumeBar(bar)));
    this.#vwap.setData(bars.map((bar) => this.#broken(bar, vwapPoint(bar))));
    this.#newestDrawn = bars.at(-1)?.start ?? 0;
    this.#mark();
    if (place !== null) this.#goTo(place);
    this.#hold();
  }

  /** Draws the bars that begin at these times, the stretches before and behind them, and nothing else. */
  drawBars(starts: Iterable<EpochSeconds>, now: Now): void {
    let marks = false;
    let causes = false;
    for (const start of [...starts].sort((a, b) => a - b)) {
      const bar = this.store.series.at(start);
      if (bar === undefined) continue;
      const earlier = start < this.#newestDrawn;
      if (start > this.#newestDrawn) this.#endStretch(bar);
      if (!earlier) this.#newestDrawn = start;
      this.#candles.update(this.#candle(bar), earlier);
      this.#volume.update(this.#volumeBar(bar), earlier);
      this.#vwap.update(this.#broken(bar, vwapPoint(bar)), earlier);
      const held = this.#marksAt.get(start) ?? '';
      marks ||= marksOf(bar) !== held;
      causes ||= isPartial(bar) !== held.includes(PARTIAL) && this.#isBesideStretch(bar);
    }
    // An incomplete bar changes the cause of the stretches beside it.
    if (causes) {
      this.drawAll(now);
      return;
    }
    if (marks) this.#mark();
    this.drawOpenStretch(now);
    this.#hold();
  }

  /** Draws the stretch between the newest bar and now, which grows without messages. */
  drawOpenStretch(now: Now): void {
    const { newest } = this.store.series;
    if (newest?.start !== this.#newestDrawn) return;
    const held = this.#takeOpen();
    const open = stretchUntil(newest, now, this.#limit);
    if (open !== undefined) this.#stretches.push(open);
    if (held?.to !== open?.to || held?.cause !== open?.cause) {
      if (open !== undefined) this.#takePlaces(open);
      this.#stretchMarks.setStretches(this.#stretches);
    }
    if (this.#isCrowded || this.#numPlaces > CROWD_FACTOR * placesMax(this.store.series.length)) this.drawAll(now);
  }

  /** Draws the lines that are switched on. */
  drawOverlays(): void {
    for (const [name, series] of this.#overlays) {
      series.setData(this.store.series.bars.map((bar) => this.#broken(bar, overlayPoint(bar, this.store.indicators.get(bar.end), name))));
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
        series.update(this.#broken(bar, overlayPoint(bar, this.store.indicators.get(end), name)), bar.start < newest.start);
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

  /** Shows seconds on the time scale where windows are shorter than a minute. */
  setWindow(seconds: number): void {
    this.#limit = 0;
    this.#chart.timeScale().applyOptions({ secondsVisible: seconds < 60 });
    this.#chart.timeScale().resetTimeScale();
    this.#chart.priceScale('right').applyOptions({ autoScale: true });
  }

  toNow(): void {
    // Not animated: an update of a bar would stop the library's animation half-way.
    this.#chart.timeScale().scrollToPosition(RIGHT_OFFSET_BARS, false);
  }

  /** Moves the crosshair by whole bars; from the newest one when it stands nowhere. */
  step(bars: number): void {
    const list = this.store.series.bars;
    const index = Math.min(list.length - 1, Math.max(0, this.#pointedIndex(bars) + bars));
    const bar = list[index];
    if (bar === undefined) return;
    const range = this.#chart.timeScale().getVisibleLogicalRange();
    const place = this.#chart.timeScale().timeToIndex(bar.start as unknown as UTCTimestamp, true);
    if (range !== null && place !== null && (place < range.from || place > range.to)) {
      const shift = place < range.from ? place - range.from - 5 : place - range.to + 5;
      this.#chart.timeScale().setVisibleLogicalRange({ from: range.from + shift, to: range.to + shift });
    }
    this.#held = bar.start;
    this.#hold();
    // The library reports only moves of the pointer.
    this.#pointed = bar.start;
    this.listener.pointed(bar.start, null);
  }

  leave(): void {
    this.#held = null;
    this.#chart.clearCrosshairPosition();
    this.#pointed = null;
    this.listener.pointed(null, null);
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

  /** Index from which the keyboard steps: of the bar under the crosshair, or of the bar after an empty place. */
  #pointedIndex(bars: number): number {
    const { bars: list } = this.store.series;
    if (this.#pointed === null) return list.length;
    const pointed = this.#pointed;
    const next = list.findIndex((bar) => bar.start >= pointed);
    if (next < 0) return list.length;
    return list[next]?.start === pointed || bars < 0 ? next : next - 1;
  }

  /** Index on the time scale of its last place: the newest bar, or what is empty behind it. */
  #newestIndex(): number {
    const time = Math.max(this.#newestDrawn, this.#lastPlace) as UTCTimestamp;
    return this.#chart.timeScale().timeToIndex(time, true) ?? 0;
  }

  /** Places that the time scale has for a stretch, counted between the bars beside it. */
  #drawnPlaces(stretch: Stretch): number | null {
    const scale = this.#chart.timeScale();
    const before = scale.timeToIndex((stretch.from - stretch.step) as UTCTimestamp);
    const end = scale.timeToIndex((stretch.isOpen ? lastPlace(stretch) : stretch.to) as unknown as UTCTimestamp);
    return before === null || end === null ? null : end - before - Number(!stretch.isOpen);
  }

  /** Removes the open stretch from the list, if there is one. */
  #takeOpen(): Stretch | undefined {
    return this.#stretches.at(-1)?.isOpen === true ? this.#stretches.pop() : undefined;
  }

  /** Adds a bar at the end: the open stretch before it now lies between two bars. */
  #endStretch(bar: Bar): void {
    this.#takeOpen();
    const before = this.store.series.before(bar.start);
    const between = before === undefined ? undefined : stretchBetween(before, bar, this.#limit);
    if (before !== undefined && between !== undefined) {
      this.#stretches.push(between);
      this.#takePlaces(between);
      this.#vwap.update(this.#broken(before, vwapPoint(before)));
      for (const [name, series] of this.#overlays) {
        series.update(this.#broken(before, overlayPoint(before, this.store.indicators.get(before.end), name)));
      }
    }
    this.#stretchMarks.setStretches(this.#stretches);
  }

  /** Adds to the time scale the places of a stretch that are not there yet. */
  #takePlaces(stretch: Stretch): void {
    for (const place of placesOf(stretch)) {
      if (place <= this.#lastPlace) continue;
      this.#spacer.update(placePoint(place));
      this.#lastPlace = place;
      this.#numPlaces += 1;
    }
    // It had more while it was short enough for that.
    const isShortened = this.#lastPlace > lastPlace(stretch) && this.#lastPlace < stretch.to;
    this.#isCrowded ||= isShortened;
  }

  /** The visible range of a user who has scrolled back: the time at the left edge, and the scroll position. */
  #place(): { readonly time: Time; readonly offset: number } | null {
    const scale = this.#chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    const time = scale.getVisibleRange()?.from;
    if (range === null || time === undefined || range.to >= this.#newestIndex()) return null;
    const index = scale.timeToIndex(time, true);
    return index === null ? null : { time, offset: range.from - index };
  }

  #goTo({ time, offset }: { readonly time: Time; readonly offset: number }): void {
    const scale = this.#chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    const index = scale.timeToIndex(time, true);
    if (range === null || index === null) return;
    scale.setVisibleLogicalRange({ from: index + offset, to: index + offset + range.to - range.from });
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

  #isBesideStretch(bar: Bar): boolean {
    return stretchAt(this.#stretches, bar.end) !== undefined || this.#emptyBefore(bar) !== undefined;
  }

  /** The stretch that ends where a bar begins. */
  #emptyBefore(bar: Bar): Stretch | undefined {
    return stretchAt(this.#stretches, (bar.start - 1) as EpochSeconds);
  }

  /** A line does not cross a silent or a cut stretch: the segment that begins at the bar before it has no colour. */
  #broken(bar: Bar, point: LineData | WhitespaceData): LineData | WhitespaceData {
    const behind = stretchAt(this.#stretches, bar.end);
    return behind !== undefined && (behind.cause === 'down' || behind.places >= CUT_PLACES) ? { ...point, color: 'transparent' } : point;
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
        markers.push({ time, position: 'belowBar', shape: 'square', color: this.#palette.partial, size: 0.5, id: PARTIAL });
      }
    }
    this.#marked = markers;
    this.#markers.setMarkers(markers);
  }
}

function placePoint(time: EpochSeconds): LineData {
  return { time: time as unknown as UTCTimestamp, value: 0 };
}

const PARTIAL = 'partial';

/** The names of a bar's marks. */
function marksOf(bar: Bar): string {
  return `${isAmended(bar) ? 'amended ' : ''}${isPartial(bar) ? PARTIAL : ''}`;
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
