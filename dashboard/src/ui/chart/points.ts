/**
 * Bars and indicators as the chart library's points. A point without a value is a place on the time scale and nothing else.
 */

import type { CandlestickData, HistogramData, UTCTimestamp } from 'lightweight-charts';
import type { EpochSeconds } from '../../helpers/nominal';
import { type Bar, isPartial } from '../../model/bar';
import type { Palette } from '../theme';

/** A point of a line or a histogram. */
export type Point =
  | { readonly time: UTCTimestamp; readonly value: number; readonly color?: string }
  | { readonly time: UTCTimestamp; readonly color?: string };

/** The library's type for a time that is ours. */
export function chartTime(time: EpochSeconds): UTCTimestamp {
  return time as unknown as UTCTimestamp;
}

export function candlePoint(bar: Bar, palette: Palette): CandlestickData {
  const { start, open, high, low, close } = bar;
  const candle = { time: chartTime(start), open, high, low, close };
  return isPartial(bar) ? { ...candle, color: palette.ground } : candle;
}

export function volumePoint(bar: Bar, palette: Palette): HistogramData {
  const color = bar.close >= bar.open ? palette.upFaint : palette.downFaint;
  return { time: chartTime(bar.start), value: bar.volume, color };
}

/** A point at a bar; `null` has no value. */
export function point(bar: Bar, value: number | null | undefined): Point {
  const time = chartTime(bar.start);
  return value === null || value === undefined ? { time } : { time, value };
}
