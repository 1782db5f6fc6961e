/**
 * The chart: candles, VWAP, volume, indicators, marks, and the empty stretches between bars. Promises: time is drawn to
 * scale except for stretches that are marked as cut (see `model/stretches.ts`); after a change of one bar only that bar is
 * redrawn; older bars are requested before the user scrolls to the edge; the visible range stays where it is when history
 * arrives.
 *
 * Nothing depends on telling colours apart: an amended bar has a dot above it, an incomplete bar is hollow and has a
 * square below it.
 */

import {
  CandlestickSeries,
  createChartEx,
  CrosshairMode,
  HistogramSeries,
  type IChartApi,
  type ISeriesApi,
  LineSeries,
  type PriceFormatCustom,
  PriceScaleMode,
  type SeriesMarker,
  type Time,
} from 'lightweight-charts';

import { fixed } from '../helpers/format';
import type { EpochSeconds } from '../helpers/nominal';
import { instantText } from '../helpers/time';
import type { Zone } from '../helpers/zone';
import { type Anomaly, barOf, markBars } from '../model/anomalies';
import type { Bar } from '../model/bar';
import { priceNow } from '../model/price';
import type { Store } from '../model/store';
import { type Now, scaleLimit, type Stretch } from '../model/stretches';
import { AnomalyMarks, type DrawnMark } from './chart/anomaly-marks';
import { BarMarks } from './chart/bar-marks';
import { Cursor } from './chart/cursor';
import { IndicatorLines } from './chart/indicator-lines';
import { Places } from './chart/places';
import { candlePoint, chartTime, type Point, point, volumePoint } from './chart/points';
import { PriceLine } from './chart/price-line';
import { StretchMarks } from './chart/stretch-marks';
import { tickMarkFormatter, ZonedScale } from './chart/zoned-scale';
import type { Palette } from './theme';

/** Bars left of the screen at which older ones are requested: about a screen, so that steady scrolling never stops. */
const LOAD_AHEAD_BARS = 120;

/** Free space right of the newest bar. */
const RIGHT_OFFSET_BARS = 8;

export interface ChartListener {
  /** The user has scrolled near the oldest bar. */
  nearStart(): void;
  /** The crosshair moved: to a bar, into an empty stretch, or off the chart. */
  pointed(time: EpochSeconds | null, stretch: Stretch | null): void;
  /** The newest bar became visible, or is no longer. */
  followed(atNow: boolean): void;
  /** A mark of anomalies was pressed. */
  marked(ids: readonly string[]): void;
  /** Other bars are on the screen. */
  scrolled(): void;
}

/** What is drawn, for tests. */
export interface Drawn {
  readonly candles: readonly unknown[];
  readonly volume: readonly unknown[];
  readonly vwap: readonly unknown[];
  readonly lines: Readonly<Record<string, readonly unknown[]>>;
  readonly panes: readonly string[];
  /** `y` is in pixels from the upper edge of the chart. */
  readonly priceLine: { readonly price: number; readonly text: string; readonly color: string; readonly y: number | null } | null;
  readonly markers: readonly SeriesMarker<Time>[];
  readonly anomalyMarks: readonly DrawnMark[];
  readonly range: unknown;
  readonly left: unknown;
  readonly stretches: readonly unknown[];
  readonly isLogarithmic: boolean;
}

export class BarChart {
  readonly #chart: IChartApi;
  readonly #candles: ISeriesApi<'Candlestick'>;
  readonly #volume: ISeriesApi<'Histogram'>;
  readonly #vwap: ISeriesApi<'Line'>;
  readonly #places: Places;
  readonly #stretchMarks: StretchMarks;
  readonly #marks: BarMarks;
  readonly #anomalyMarks: AnomalyMarks;
  readonly #priceLine: PriceLine;
  readonly #lines: IndicatorLines;
  readonly #cursor: Cursor;
  #palette: Palette;
  #decimals = 2;
  /** The price at which the line stands. */
  #price: number | null = null;
  /** A copy: the library copies all its data when asked for the last point. */
  #newestDrawn = 0;

  constructor(
    private readonly container: HTMLElement,
    private readonly store: Store,
    palette: Palette,
    private zone: Zone,
    listener: ChartListener,
  ) {
    this.#palette = palette;
    const { fontFamily } = getComputedStyle(document.body);
    const zoneNow = (): Zone => this.zone;
    this.#chart = createChartEx<Time, ZonedScale>(container, new ZonedScale(zoneNow), {
      autoSize: true,
      // The library's own logo comes with a style element, which a strict Content-Security-Policy forbids; the page has a
      // link in its place.
      layout: { fontFamily, fontSize: 11, attributionLogo: false },
      crosshair: { mode: CrosshairMode.Normal },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.16, bottom: 0.24 } },
      timeScale: { borderVisible: false, timeVisible: true, rightOffset: RIGHT_OFFSET_BARS, barSpacing: 8, minBarSpacing: 0.8 },
      localization: { timeFormatter: (time: Time) => this.#crosshairText(time as unknown as EpochSeconds) },
    });
    this.#chart.applyOptions({ timeScale: { tickMarkFormatter: tickMarkFormatter(zoneNow) } });
    this.#volume = this.#chart.addSeries(HistogramSeries, {
      priceScaleId: 'volume',
      priceFormat: { type: 'volume' },
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.#chart.priceScale('volume').applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    this.#candles = this.#chart.addSeries(CandlestickSeries, { priceLineVisible: false, lastValueVisible: false });
    this.#vwap = this.#chart.addSeries(LineSeries, {
      lineWidth: 1,
      lastValueVisible: false,
      priceLineVisible: false,
      crosshairMarkerVisible: false,
    });
    this.#stretchMarks = new StretchMarks(fontFamily, palette);
    this.#candles.attachPrimitive(this.#stretchMarks);
    this.#places = new Places(this.#chart, (stretches) => {
      this.#stretchMarks.setStretches(stretches);
    });
    this.#marks = new BarMarks(this.#candles);
    this.#anomalyMarks = new AnomalyMarks(this.#candles, (start) => store.series.at(start)?.high, fontFamily, palette);
    this.#candles.attachPrimitive(this.#anomalyMarks);
    this.#priceLine = new PriceLine(this.#candles);
    this.#lines = new IndicatorLines(this.#chart, container, store, palette, (bar) => this.#places.isBroken(bar));
    this.#cursor = new Cursor(this.#chart, this.#candles, store, (time) => {
      listener.pointed(time, time === null ? null : (this.#places.at(time) ?? null));
    });
    this.setPalette(palette, null);

    this.#chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range === null) return;
      if (range.from < LOAD_AHEAD_BARS) listener.nearStart();
      listener.followed(range.to >= this.#newestIndex());
      listener.scrolled();
    });
    this.#chart.subscribeClick(({ point: at, paneIndex }) => {
      const mark = at === undefined || (paneIndex ?? 0) !== 0 ? undefined : this.#anomalyMarks.at(at.x, at.y);
      if (mark !== undefined) listener.marked(mark.ids);
    });
  }

  get drawn(): Drawn {
    const price = this.#priceLine.drawn;
    return {
      candles: this.#candles.data(),
      volume: this.#volume.data(),
      vwap: this.#vwap.data(),
      lines: this.#lines.drawn,
      panes: this.#lines.panes,
      priceLine: price === null ? null : { ...price, text: fixed(price.price, this.#decimals), y: this.#candles.priceToCoordinate(price.price) },
      markers: this.#marks.drawn,
      anomalyMarks: this.#anomalyMarks.drawn,
      range: this.#chart.timeScale().getVisibleLogicalRange(),
      left: this.#chart.timeScale().getVisibleRange()?.from ?? null,
      stretches: this.#places.stretches.map((stretch) => ({ ...stretch, drawn: this.#places.drawn(stretch) })),
      isLogarithmic: this.#chart.priceScale('right').options().mode === PriceScaleMode.Logarithmic,
    };
  }

  /** The empty stretch before the bar chosen by keyboard. */
  get emptyBefore(): Stretch | undefined {
    const { held } = this.#cursor;
    const bar = held === null ? undefined : this.store.series.at(held);
    return bar === undefined ? undefined : this.#places.before(bar);
  }

  /** The bars on the screen. */
  get visibleBars(): readonly Bar[] {
    const range = this.#chart.timeScale().getVisibleRange();
    return range === null ? [] : this.store.series.between(range.from as unknown as EpochSeconds, range.to as unknown as EpochSeconds);
  }

  /** The anomalies of the bars on the screen, ascending by time. */
  get visibleAnomalies(): readonly Anomaly[] {
    const range = this.#chart.timeScale().getVisibleRange();
    if (range === null) return [];
    const [from, to] = [Number(range.from), Number(range.to)];
    return this.#anomalyMarks.marked.filter(({ bar }) => bar.start >= from && bar.start <= to).flatMap(({ anomalies }) => anomalies);
  }

  /** The anomalies of the bar chosen by keyboard. */
  get heldAnomalies(): readonly Anomaly[] {
    const { held } = this.#cursor;
    return this.#anomalyMarks.marked.find(({ bar }) => bar.start === held)?.anomalies ?? [];
  }

  /** Indicators that are drawn, in the order of the legend. */
  get shownIndicators(): IndicatorLines['shown'] {
    return this.#lines.shown;
  }

  /** A picture of the chart as it is, in pixels of the screen. */
  picture(): HTMLCanvasElement {
    return this.#chart.takeScreenshot();
  }

  /** Sets the watermark across the chart; empty for none. */
  setWatermark(text: string): void {
    this.#stretchMarks.setWatermark(text);
  }

  setPalette(palette: Palette, now: Now | null): void {
    this.#palette = palette;
    this.#stretchMarks.setPalette(palette);
    this.#anomalyMarks.setPalette(palette);
    this.#chart.applyOptions({
      layout: { background: { color: palette.ground }, textColor: palette.text, panes: { separatorColor: palette.crosshair, separatorHoverColor: palette.watermark } },
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
    this.#lines.setPalette(palette);
    this.#drawPriceLine();
    this.drawAll(now);
    this.#lines.draw();
  }

  /** Sets the zone of all times. */
  setZone(zone: Zone, now: Now): void {
    if (zone === this.zone) return;
    this.zone = zone;
    const range = this.#chart.timeScale().getVisibleLogicalRange();
    // The library weighs a place on the time scale once, when it is new.
    for (const series of [this.#candles, this.#volume, this.#vwap]) series.setData([]);
    this.#places.clear();
    this.#lines.clear();
    this.drawAll(now);
    this.#lines.draw();
    if (range !== null) this.#chart.timeScale().setVisibleLogicalRange(range);
  }

  /** Redraws every bar, and the stretches between them. */
  drawAll(now: Now | null): void {
    const { bars } = this.store.series;
    const limit = scaleLimit(bars);
    const isRescaled = this.#places.limit !== 0 && limit !== this.#places.limit;
    const place = isRescaled ? this.#place() : null;
    this.#places.set(bars, now, limit);
    this.#candles.setData(bars.map((bar) => candlePoint(bar, this.#palette)));
    this.#volume.setData(bars.map((bar) => volumePoint(bar, this.#palette)));
    this.#vwap.setData(bars.map((bar) => this.#vwapPoint(bar)));
    this.#newestDrawn = bars.at(-1)?.start ?? 0;
    this.#marks.draw(bars, this.#palette);
    this.drawAnomalies();
    if (place !== null) this.#goTo(place);
    this.#cursor.redraw();
  }

  /** Draws the bars that begin at these times, the stretches before and behind them, and nothing else. */
  drawBars(starts: Iterable<EpochSeconds>, now: Now): void {
    let marks = false;
    let causes = false;
    const newest = this.#newestDrawn;
    for (const start of [...starts].sort((a, b) => a - b)) {
      const bar = this.store.series.at(start);
      if (bar === undefined) continue;
      const earlier = start < this.#newestDrawn;
      if (start > this.#newestDrawn) this.#endStretch(bar);
      if (!earlier) this.#newestDrawn = start;
      this.#candles.update(candlePoint(bar, this.#palette), earlier);
      this.#volume.update(volumePoint(bar, this.#palette), earlier);
      this.#vwap.update(this.#vwapPoint(bar), earlier);
      marks ||= this.#marks.isOutdated(bar);
      causes ||= this.#marks.isCoverageOutdated(bar) && this.#isBesideStretch(bar);
    }
    // An incomplete bar changes the cause of the stretches beside it.
    if (causes) {
      this.drawAll(now);
      return;
    }
    // A trade of a bar that just began may be an anomaly that is known already.
    if (this.#newestDrawn !== newest) this.drawAnomalies();
    if (marks) this.#marks.draw(this.store.series.bars, this.#palette);
    this.drawOpenStretch(now);
    this.#cursor.redraw();
  }

  /** Draws the marks of all anomalies. */
  drawAnomalies(): void {
    this.#anomalyMarks.set(markBars(this.store.anomalies.list, this.store.series));
  }

  /** Puts a ring around the mark of an anomaly, or around none, and moves its bar into the middle where `isFar`. */
  chooseAnomaly(anomaly: Anomaly | null, isFar: boolean): void {
    this.#anomalyMarks.choose(anomaly?.id ?? null);
    const bar = anomaly === null ? undefined : barOf(anomaly, this.store.series);
    if (bar !== undefined && isFar) this.goTo(bar);
  }

  /** Draws the stretch between the newest bar and now, which grows without messages. */
  drawOpenStretch(now: Now): void {
    const { newest } = this.store.series;
    if (newest?.start !== this.#newestDrawn) return;
    this.#places.grow(newest, now);
    if (this.#places.isCrowded(this.store.series.length)) this.drawAll(now);
  }

  /** Draws the line at the price now. */
  drawPrice(): void {
    // Without bars there is no scale that it could stand on.
    this.#price = this.store.series.length === 0 ? null : priceNow(this.store);
    this.#drawPriceLine();
  }

  /** Shows these lines and panes, and no others. */
  setIndicators(overlays: ReadonlySet<string>, panes: ReadonlySet<string>): void {
    this.#lines.show(overlays, panes);
  }

  /** Draws the lines that are switched on. */
  drawIndicators(): void {
    this.#lines.draw();
  }

  /** Draws the points of the bars that end at these times, and those that depend on them. */
  drawIndicatorsAt(ends: Iterable<EpochSeconds>): void {
    this.#lines.drawAt(ends);
  }

  /** Writes values of indicators into their panes. */
  setIndicatorTexts(texts: Readonly<Record<string, string>>): void {
    this.#lines.setTexts(texts);
  }

  setLogarithmic(isLogarithmic: boolean): void {
    this.#chart.priceScale('right').applyOptions({ mode: isLogarithmic ? PriceScaleMode.Logarithmic : PriceScaleMode.Normal });
  }

  /** Digits of the price scale. */
  setDecimals(decimals: number): void {
    if (decimals === this.#decimals) return;
    this.#decimals = decimals;
    this.#candles.applyOptions({ priceFormat: this.#priceFormat() });
    this.#vwap.applyOptions({ priceFormat: this.#priceFormat() });
    this.#lines.setDecimals(decimals);
  }

  /** Shows seconds on the time scale where windows are shorter than a minute. */
  setWindow(seconds: number): void {
    this.#places.forget();
    this.#chart.timeScale().applyOptions({ secondsVisible: seconds < 60 });
    this.#chart.timeScale().resetTimeScale();
    this.#chart.priceScale('right').applyOptions({ autoScale: true });
  }

  toNow(): void {
    // Not animated: an update of a bar would stop the library's animation half-way.
    this.#chart.timeScale().scrollToPosition(RIGHT_OFFSET_BARS, false);
  }

  /** Moves a bar into the middle of the chart and puts the crosshair on it. */
  goTo(bar: Bar): void {
    const scale = this.#chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    const place = scale.timeToIndex(chartTime(bar.start), true);
    if (range === null || place === null) return;
    const half = (range.to - range.from) / 2;
    scale.setVisibleLogicalRange({ from: place - half, to: place + half });
    this.#cursor.hold(bar.start);
  }

  /** Moves the crosshair by whole bars; from the newest one when it stands nowhere. */
  step(bars: number): void {
    this.#cursor.step(bars);
  }

  leave(): void {
    this.#cursor.leave();
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

  /** Index on the time scale of its last place: the newest bar, or what is empty behind it. */
  #newestIndex(): number {
    const time = Math.max(this.#newestDrawn, this.#places.last) as EpochSeconds;
    return this.#chart.timeScale().timeToIndex(chartTime(time), true) ?? 0;
  }

  /** Adds a bar at the end: the open stretch before it now lies between two bars. */
  #endStretch(bar: Bar): void {
    const before = this.store.series.before(bar.start);
    if (!this.#places.end(before, bar) || before === undefined) return;
    this.#vwap.update(this.#vwapPoint(before));
    this.#lines.drawBar(before);
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

  #priceFormat(): PriceFormatCustom {
    const decimals = this.#decimals;
    return { type: 'custom', minMove: 10 ** -decimals, formatter: (price: number) => fixed(price, decimals) };
  }

  #crosshairText(time: EpochSeconds): string {
    return `${instantText(time, this.zone)} ${this.zone.abbreviation(time)}`;
  }

  #isBesideStretch(bar: Bar): boolean {
    return this.#places.at(bar.end) !== undefined || this.#places.before(bar) !== undefined;
  }

  /** The line has the colour of the newest bar. */
  #drawPriceLine(): void {
    const { newest } = this.store.series;
    const isDown = newest !== undefined && newest.close < newest.open;
    this.#priceLine.draw(this.#price, isDown ? this.#palette.down : this.#palette.up);
  }

  /** A line does not cross a silent or a cut stretch: the segment that begins at the bar before it has no colour. */
  #vwapPoint(bar: Bar): Point {
    const made = point(bar, bar.vwap);
    return this.#places.isBroken(bar) ? { ...made, color: 'transparent' } : made;
  }
}
