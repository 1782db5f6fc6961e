/**
 * The marks of bars that need attention: a dot above an amended one, a square below one that is not whole.
 *
 * Promises: marks are set again only when a bar's own marks have changed, however often such a bar is updated, since the
 * library takes all of them at once.
 */

import { createSeriesMarkers, type ISeriesApi, type ISeriesMarkersPluginApi, type SeriesMarker, type Time } from 'lightweight-charts';
import type { EpochSeconds } from '../../helpers/nominal';
import { type Bar, isAmended, isPartial } from '../../model/bar';
import type { Palette } from '../theme';
import { chartTime } from './points';

const AMENDED = 'amended';
const PARTIAL = 'partial';

/** The names of a bar's marks. */
function marksOf(bar: Bar): string {
  return `${isAmended(bar) ? `${AMENDED} ` : ''}${isPartial(bar) ? PARTIAL : ''}`;
}

export class BarMarks {
  readonly #plugin: ISeriesMarkersPluginApi<Time>;
  readonly #marksAt = new Map<EpochSeconds, string>();
  #drawn: readonly SeriesMarker<Time>[] = [];

  constructor(candles: ISeriesApi<'Candlestick'>) {
    this.#plugin = createSeriesMarkers(candles, []);
  }

  get drawn(): readonly SeriesMarker<Time>[] {
    return this.#drawn;
  }

  /** True when a bar's marks are not the ones drawn. */
  isOutdated(bar: Bar): boolean {
    return marksOf(bar) !== (this.#marksAt.get(bar.start) ?? '');
  }

  /** True when a bar is drawn as whole and no longer is, or the other way round. */
  isCoverageOutdated(bar: Bar): boolean {
    return isPartial(bar) !== (this.#marksAt.get(bar.start) ?? '').includes(PARTIAL);
  }

  draw(bars: readonly Bar[], palette: Palette): void {
    const markers: SeriesMarker<Time>[] = [];
    this.#marksAt.clear();
    for (const bar of bars) {
      const marks = marksOf(bar);
      if (marks === '') continue;
      this.#marksAt.set(bar.start, marks);
      const time = chartTime(bar.start);
      if (isAmended(bar)) markers.push({ time, position: 'aboveBar', shape: 'circle', color: palette.amended, size: 0.5, id: AMENDED });
      if (isPartial(bar)) markers.push({ time, position: 'belowBar', shape: 'square', color: palette.partial, size: 0.5, id: PARTIAL });
    }
    this.#drawn = markers;
    this.#plugin.setMarkers(markers);
  }
}
