/**
 * The places that empty stretches take on the time scale. The library knows only times at which something is drawn, so an
 * invisible series holds a point for each window without a bar.
 *
 * Promises: a stretch that grows keeps the places it has; when places are left over that no stretch uses, [isCrowded] says
 * so, and drawing everything again is the cure.
 */

import { type IChartApi, type ISeriesApi, LineSeries } from 'lightweight-charts';
import type { EpochSeconds } from '../../helpers/nominal';
import type { Bar } from '../../model/bar';
import { CUT_PLACES, lastPlace, type Now, placesMax, placesOf, type Stretch, stretchAt, stretchBetween, stretchesOf, stretchUntil } from '../../model/stretches';
import { chartTime } from './points';

/** Multiple of the allowed empty places at which everything is redrawn with a lower limit for stretches to scale. */
const CROWD_FACTOR = 3;

export class Places {
  readonly #series: ISeriesApi<'Line'>;
  #stretches: Stretch[] = [];
  #limit = 0;
  #numPlaces = 0;
  #last = 0;
  /** True when the series has places that no stretch uses any more. */
  #isLoose = false;

  /** @param changed called with the stretches when they have changed */
  constructor(
    private readonly chart: IChartApi,
    private readonly changed: (stretches: readonly Stretch[]) => void,
  ) {
    // A value and not whitespace, so that the end of the time scale is now, and not the newest bar.
    this.#series = chart.addSeries(LineSeries, { visible: false, priceScaleId: 'spacer', lastValueVisible: false, priceLineVisible: false });
  }

  get stretches(): readonly Stretch[] {
    return this.#stretches;
  }

  /** Windows of the longest stretch drawn to scale; 0 before there are bars. */
  get limit(): number {
    return this.#limit;
  }

  /** Time of the last place; 0 where there is none. */
  get last(): number {
    return this.#last;
  }

  isCrowded(numBars: number): boolean {
    return this.#isLoose || this.#numPlaces > CROWD_FACTOR * placesMax(numBars);
  }

  at(time: EpochSeconds): Stretch | undefined {
    return stretchAt(this.#stretches, time);
  }

  /** The stretch that ends where a bar begins. */
  before(bar: Bar): Stretch | undefined {
    return this.at((bar.start - 1) as EpochSeconds);
  }

  /** True when a line must not go on behind a bar: the stretch there is silent, or cut. */
  isBroken(bar: Bar): boolean {
    const behind = this.at(bar.end);
    return behind !== undefined && (behind.cause === 'down' || behind.places >= CUT_PLACES);
  }

  /** Forgets the limit: the next bars are another symbol's. */
  forget(): void {
    this.#limit = 0;
  }

  /** Removes all places, so that the time scale is made anew. */
  clear(): void {
    this.#series.setData([]);
  }

  set(bars: readonly Bar[], now: Now | null, limit: number): void {
    this.#limit = bars.length === 0 ? 0 : limit;
    this.#stretches = stretchesOf(bars, now, limit);
    const places = this.#stretches.flatMap(placesOf);
    this.#numPlaces = places.length;
    this.#isLoose = false;
    this.#last = places.at(-1) ?? 0;
    this.#series.setData(places.map((time) => ({ time: chartTime(time), value: 0 })));
    this.changed(this.#stretches);
  }

  /** Adds a bar at the end: the open stretch before it now lies between two bars. True when one does. */
  end(before: Bar | undefined, bar: Bar): boolean {
    this.#takeOpen();
    const between = before === undefined ? undefined : stretchBetween(before, bar, this.#limit);
    if (between !== undefined) {
      this.#stretches.push(between);
      this.#extend(between);
    }
    this.changed(this.#stretches);
    return between !== undefined;
  }

  /** Draws the stretch between the newest bar and now. */
  grow(newest: Bar, now: Now): void {
    const held = this.#takeOpen();
    const open = stretchUntil(newest, now, this.#limit);
    if (open !== undefined) this.#stretches.push(open);
    if (held?.to === open?.to && held?.cause === open?.cause) return;
    if (open !== undefined) this.#extend(open);
    this.changed(this.#stretches);
  }

  /** Places that the time scale has for a stretch, counted between the bars beside it; for tests. */
  drawn(stretch: Stretch): number | null {
    const scale = this.chart.timeScale();
    const before = scale.timeToIndex(chartTime((stretch.from - stretch.step) as EpochSeconds));
    const end = scale.timeToIndex(chartTime(stretch.isOpen ? lastPlace(stretch) : stretch.to));
    return before === null || end === null ? null : end - before - Number(!stretch.isOpen);
  }

  /** Removes the open stretch from the list, if there is one. */
  #takeOpen(): Stretch | undefined {
    return this.#stretches.at(-1)?.isOpen === true ? this.#stretches.pop() : undefined;
  }

  /** Adds to the time scale the places of a stretch that are not there yet. */
  #extend(stretch: Stretch): void {
    for (const place of placesOf(stretch)) {
      if (place <= this.#last) continue;
      this.#series.update({ time: chartTime(place), value: 0 });
      this.#last = place;
      this.#numPlaces += 1;
    }
    // It had more while it was short enough for that.
    this.#isLoose ||= this.#last > lastPlace(stretch) && this.#last < stretch.to;
  }
}
