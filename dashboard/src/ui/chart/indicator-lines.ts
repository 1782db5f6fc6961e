/**
 * The indicators that are switched on: lines over the candles, and panes below them for what has a scale of its own. The
 * Bollinger bands are filled; the RSI has its zones at 30 and 70; the MACD's histogram is strong where it grows and faint
 * where it shrinks.
 *
 * Promises: after a change of one bar only the points are drawn again that depend on it; lines do not cross a stretch in
 * which the source was silent.
 */

import { type AutoscaleInfo, HistogramSeries, type IChartApi, type IPriceLine, type ISeriesApi, LineSeries, LineStyle, type PriceFormatCustom } from 'lightweight-charts';
import { fixed, NONE } from '../../helpers/format';
import type { EpochSeconds } from '../../helpers/nominal';
import type { Bar } from '../../model/bar';
import { INDICATOR_NAMES, type IndicatorName } from '../../model/indicators';
import type { Store } from '../../model/store';
import type { Palette } from '../theme';
import { Fill } from './fill';
import { PaneTitles } from './pane-titles';
import { indicatorsOf, PANE_NAMES, type PaneName, PLOTS } from './plots';
import { type Point, point } from './points';

type IndicatorSeries = ISeriesApi<'Line'> | ISeriesApi<'Histogram'>;

/** Above the upper zone the RSI says overbought, below the lower one oversold. */
const RSI_ZONES = { low: 30, high: 70 } as const;
/** Range that the RSI's pane shows at least, so that both zones are always seen. */
const RSI_RANGE = { low: 20, high: 80 } as const;

/** Height of the chart's own pane, in heights of another. */
const PRICE_PANE_HEIGHT = 3;

export class IndicatorLines {
  readonly #series = new Map<IndicatorName, IndicatorSeries>();
  readonly #zones: IPriceLine[] = [];
  readonly #titles: PaneTitles;
  #palette: Palette;
  #decimals = 2;

  constructor(
    private readonly chart: IChartApi,
    container: HTMLElement,
    private readonly store: Store,
    palette: Palette,
    /** True when a line must not go on behind a bar. */
    private readonly isBroken: (bar: Bar) => boolean,
  ) {
    this.#palette = palette;
    this.#titles = new PaneTitles(chart, container);
  }

  /** Names of those that are switched on, in the order of the legend. */
  get shown(): IndicatorName[] {
    return INDICATOR_NAMES.filter((name) => this.#series.has(name));
  }

  /** Panes from top to bottom. */
  get panes(): PaneName[] {
    return PANE_NAMES.filter((pane) => indicatorsOf(pane).every((name) => this.#series.has(name)));
  }

  /** What is drawn, for tests. */
  get drawn(): Readonly<Record<string, readonly unknown[]>> {
    return Object.fromEntries([...this.#series].map(([name, series]) => [name, series.data()]));
  }

  /** Shows these lines and panes and no others; names that nothing has are left out. */
  show(overlays: ReadonlySet<string>, panes: ReadonlySet<string>): void {
    const before = this.panes;
    const isWanted = (name: IndicatorName): boolean => (PLOTS[name].pane === 'price' ? overlays.has(name) : panes.has(PLOTS[name].pane));
    for (const [name, series] of this.#series) {
      if (isWanted(name)) continue;
      this.chart.removeSeries(series);
      this.#series.delete(name);
      if (name === 'rsi_14') this.#zones.length = 0;
    }
    const added = INDICATOR_NAMES.filter((name) => isWanted(name) && !this.#series.has(name));
    // What is drawn later lies above: a histogram must not cover the lines of its pane.
    for (const name of added.sort((a, b) => Number(PLOTS[b].kind === 'histogram') - Number(PLOTS[a].kind === 'histogram'))) this.#add(name);
    for (const name of added) this.#drawAll(name);
    if (before.join() !== this.panes.join() || added.length > 0) this.#arrangePanes();
  }

  setPalette(palette: Palette): void {
    this.#palette = palette;
    for (const [name, series] of this.#series) series.applyOptions({ color: palette.lines[PLOTS[name].color] });
    for (const zone of this.#zones) zone.applyOptions({ color: palette.crosshair });
  }

  /** Digits of the price scale. */
  setDecimals(decimals: number): void {
    this.#decimals = decimals;
    for (const [name, series] of this.#series) series.applyOptions({ priceFormat: this.#format(name) });
  }

  /** Writes the values beside the names of the panes. */
  setTexts(texts: Readonly<Record<string, string>>): void {
    this.#titles.setTexts(texts);
  }

  /** Removes all points, so that the time scale is made anew. */
  clear(): void {
    for (const series of this.#series.values()) series.setData([]);
  }

  draw(): void {
    for (const name of this.#series.keys()) this.#drawAll(name);
  }

  /** Draws the points of the bars that end at these times, and those that depend on them. */
  drawAt(ends: Iterable<EpochSeconds>): void {
    if (this.#series.size === 0) return;
    const { series: bars } = this.store;
    const { newest } = bars;
    if (newest === undefined) return;
    const length = newest.end - newest.start;
    for (const end of [...ends].sort((a, b) => a - b)) {
      const bar = bars.at((end - length) as EpochSeconds);
      if (bar === undefined) continue;
      this.drawBar(bar);
      const after = bars.after(bar.start);
      const histogram = this.#series.get('macd_histogram');
      if (after !== undefined && histogram !== undefined) this.#update(histogram, 'macd_histogram', after);
    }
  }

  /** Draws the points of a bar. */
  drawBar(bar: Bar): void {
    for (const [name, series] of this.#series) this.#update(series, name, bar);
  }

  #update(series: IndicatorSeries, name: IndicatorName, bar: Bar): void {
    const newest = this.store.series.newest;
    series.update(this.#point(name, bar), newest !== undefined && bar.start < newest.start);
  }

  #drawAll(name: IndicatorName): void {
    this.#series.get(name)?.setData(this.store.series.bars.map((bar) => this.#point(name, bar)));
  }

  #value(name: IndicatorName, bar: Bar | undefined): number | null {
    return (bar === undefined ? undefined : this.store.indicators.get(bar.end))?.values[name] ?? null;
  }

  #point(name: IndicatorName, bar: Bar): Point {
    const value = this.#value(name, bar);
    const plain = point(bar, value);
    if (name === 'macd_histogram' && value !== null) {
      const isFurther = Math.abs(value) >= Math.abs(this.#value(name, this.store.series.before(bar.start)) ?? 0);
      const { up, upFaint, down, downFaint } = this.#palette;
      return { ...plain, color: value >= 0 ? (isFurther ? up : upFaint) : isFurther ? down : downFaint };
    }
    return this.isBroken(bar) ? { ...plain, color: 'transparent' } : plain;
  }

  #add(name: IndicatorName): void {
    const { pane, kind, color, style, width } = PLOTS[name];
    const common = { color: this.#palette.lines[color], lastValueVisible: false, priceLineVisible: false, priceFormat: this.#format(name) };
    // A new pane comes last, whichever it is; they are put in order afterwards.
    const held = indicatorsOf(pane).find((each) => this.#series.has(each));
    const index = pane === 'price' ? 0 : held === undefined ? this.chart.panes().length : this.#series.get(held)?.getPane().paneIndex();
    const series =
      kind === 'histogram'
        ? this.chart.addSeries(HistogramSeries, { ...common, base: 0 }, index)
        : this.chart.addSeries(LineSeries, { ...common, lineStyle: style, lineWidth: width, crosshairMarkerVisible: false }, index);
    this.#series.set(name, series);
    if (name === 'bb_upper') this.#fillBands(series);
    if (name === 'rsi_14') this.#markZones(series);
  }

  #fillBands(upper: IndicatorSeries): void {
    upper.attachPrimitive(
      new Fill({
        bars: (from, to) => this.store.series.around(from, to),
        edges: (bar) => {
          const [top, bottom] = [this.#value('bb_upper', bar), this.#value('bb_lower', bar)];
          return top === null || bottom === null || !this.#series.has('bb_lower') ? null : [top, bottom];
        },
        isBroken: this.isBroken,
        color: () => this.#palette.band,
      }),
    );
  }

  #markZones(rsi: IndicatorSeries): void {
    rsi.applyOptions({
      autoscaleInfoProvider: (original: () => AutoscaleInfo | null) => {
        const range = original()?.priceRange;
        return { priceRange: { minValue: Math.min(RSI_RANGE.low, range?.minValue ?? RSI_RANGE.low), maxValue: Math.max(RSI_RANGE.high, range?.maxValue ?? RSI_RANGE.high) } };
      },
    });
    rsi.priceScale().applyOptions({ scaleMargins: { top: 0.1, bottom: 0.06 } });
    for (const [price, side] of [[RSI_ZONES.high, 'above'], [RSI_ZONES.low, 'below']] as const) {
      this.#zones.push(rsi.createPriceLine({ price, color: this.#palette.crosshair, lineWidth: 1, lineStyle: LineStyle.Dashed, axisLabelVisible: false, title: '' }));
      rsi.attachPrimitive(
        new Fill({
          bars: (from, to) => this.store.series.around(from, to),
          edges: (bar) => {
            const value = this.#value('rsi_14', bar);
            return value === null ? null : [value, price];
          },
          isBroken: this.isBroken,
          color: () => this.#palette.beyond,
          only: { side, price },
        }),
      );
    }
  }

  /** Puts the panes in their order, gives them their heights and their titles. */
  #arrangePanes(): void {
    const shown = this.panes;
    shown.forEach((pane, index) => {
      const [first] = indicatorsOf(pane);
      const held = first === undefined ? undefined : this.#series.get(first)?.getPane();
      // Swapped and not moved: the library moves only panes that it has drawn already.
      if (held !== undefined && held.paneIndex() !== index + 1) this.chart.swapPanes(held.paneIndex(), index + 1);
    });
    const all = this.chart.panes();
    all.forEach((pane, index) => {
      pane.setStretchFactor(index === 0 ? PRICE_PANE_HEIGHT : 1);
    });
    this.#titles.show(shown.map((name, index) => ({ name, pane: all[index + 1] })));
  }

  #format(name: IndicatorName): PriceFormatCustom {
    const decimals = indicatorDecimals(name, this.#decimals, this.store.series.newest);
    // The library asks for the text of a value that it does not have.
    return { type: 'custom', minMove: 10 ** -decimals, formatter: (value: number) => (Number.isFinite(value) ? fixed(value, decimals) : NONE) };
  }
}

/**
 * Digits that a value of an indicator is written with, where prices have `decimals`. A difference of averages is small
 * compared with the price, and a small price needs more digits.
 */
export function indicatorDecimals(name: IndicatorName, decimals: number, bar: Bar | undefined): number {
  const { pane } = PLOTS[name];
  if (pane === 'rsi') return 1;
  if (pane === 'price') return decimals;
  return bar === undefined || bar.close >= 1000 ? decimals : decimals + 2;
}
