/**
 * The crosshair: follows the pointer, or stands on a bar that was chosen by keyboard and keeps it while new bars move it to
 * the left.
 */

import type { IChartApi, ISeriesApi } from 'lightweight-charts';
import type { EpochSeconds } from '../../helpers/nominal';
import type { Store } from '../../model/store';
import { chartTime } from './points';

export class Cursor {
  #pointed: EpochSeconds | null = null;
  #held: EpochSeconds | null = null;

  /** @param moved called when the crosshair stands at another time, or nowhere */
  constructor(
    private readonly chart: IChartApi,
    private readonly candles: ISeriesApi<'Candlestick'>,
    private readonly store: Store,
    private readonly moved: (time: EpochSeconds | null) => void,
  ) {
    chart.subscribeCrosshairMove((event) => {
      // The chart moved, not the pointer: the bar that was chosen by keyboard stays chosen.
      if (event.sourceEvent === undefined && this.#held !== null) return;
      this.#held = null;
      this.#pointed = event.time === undefined ? null : (event.time as unknown as EpochSeconds);
      moved(this.#pointed);
    });
  }

  /** The bar that was chosen by keyboard. */
  get held(): EpochSeconds | null {
    return this.#held;
  }

  /** Moves by whole bars; from the newest one when it stands nowhere. */
  step(bars: number): void {
    const list = this.store.series.bars;
    const index = Math.min(list.length - 1, Math.max(0, this.#index(bars) + bars));
    const bar = list[index];
    if (bar !== undefined) this.hold(bar.start);
  }

  /** Stands on a bar. */
  hold(start: EpochSeconds): void {
    this.#held = start;
    this.#pointed = start;
    this.#show();
    this.redraw();
    // The library reports only moves of the pointer.
    this.moved(start);
  }

  leave(): void {
    this.#held = null;
    this.#pointed = null;
    this.chart.clearCrosshairPosition();
    this.moved(null);
  }

  /** Puts the crosshair where the chosen bar is now. */
  redraw(): void {
    const bar = this.#held === null ? undefined : this.store.series.at(this.#held);
    if (bar !== undefined) this.chart.setCrosshairPosition(bar.close, chartTime(bar.start), this.candles);
  }

  /** Scrolls the chosen bar into view. */
  #show(): void {
    if (this.#held === null) return;
    const scale = this.chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    const place = scale.timeToIndex(chartTime(this.#held), true);
    if (range === null || place === null || (place >= range.from && place <= range.to)) return;
    const shift = place < range.from ? place - range.from - 5 : place - range.to + 5;
    scale.setVisibleLogicalRange({ from: range.from + shift, to: range.to + shift });
  }

  /** Index from which the keyboard steps: of the bar under the crosshair, or of the bar after an empty place. */
  #index(bars: number): number {
    const { bars: list } = this.store.series;
    if (this.#pointed === null) return list.length;
    const pointed = this.#pointed;
    const next = list.findIndex((bar) => bar.start >= pointed);
    if (next < 0) return list.length;
    return list[next]?.start === pointed || bars < 0 ? next : next - 1;
  }
}
