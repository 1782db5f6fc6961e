/** Indicators of one closed bar; a value is `null` until it is warmed up. */

import type { EpochSeconds } from '../helpers/nominal';

/** The names the server uses, in the order a legend shows them. */
export const INDICATOR_NAMES = [
  'sma_20',
  'sma_50',
  'sma_200',
  'ema_12',
  'ema_26',
  'rsi_14',
  'macd',
  'macd_signal',
  'macd_histogram',
  'bb_upper',
  'bb_middle',
  'bb_lower',
] as const;

export type IndicatorName = (typeof INDICATOR_NAMES)[number];

export interface Indicators {
  /** End of the bar they belong to. */
  readonly end: EpochSeconds;
  readonly values: Readonly<Record<IndicatorName, number | null>>;
}
