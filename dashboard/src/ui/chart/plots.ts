/**
 * How each indicator is drawn. Lines of one kind differ by more than their colours, which not everybody can tell apart:
 * simple averages are solid and thicker the longer they are, exponential ones are dashed, bands have a fill.
 */

import { LineStyle, type LineWidth } from 'lightweight-charts';
import { INDICATOR_NAMES, type IndicatorName } from '../../model/indicators';
import type { LineColor } from '../theme';

/** Panes below the chart, from top to bottom. */
export const PANE_NAMES = ['rsi', 'macd'] as const;
export type PaneName = (typeof PANE_NAMES)[number];

export interface Plot {
  readonly pane: 'price' | PaneName;
  readonly kind: 'line' | 'histogram';
  readonly color: LineColor;
  readonly style: LineStyle;
  readonly width: LineWidth;
}

function line(pane: Plot['pane'], color: LineColor, style = LineStyle.Solid, width: LineWidth = 1): Plot {
  return { pane, kind: 'line', color, style, width };
}

export const PLOTS: Readonly<Record<IndicatorName, Plot>> = {
  sma_20: line('price', 'sma-20'),
  sma_50: line('price', 'sma-50'),
  sma_200: line('price', 'sma-200', LineStyle.Solid, 2),
  ema_12: line('price', 'ema-12', LineStyle.Dashed),
  ema_26: line('price', 'ema-26', LineStyle.Dashed),
  rsi_14: line('rsi', 'rsi'),
  macd: line('macd', 'macd'),
  macd_signal: line('macd', 'macd-signal', LineStyle.Dashed),
  macd_histogram: { pane: 'macd', kind: 'histogram', color: 'macd', style: LineStyle.Solid, width: 1 },
  bb_upper: line('price', 'bb'),
  bb_middle: line('price', 'bb', LineStyle.Dotted),
  bb_lower: line('price', 'bb'),
};

/** Indicators of a pane, in the order of their legend. */
export function indicatorsOf(pane: Plot['pane']): IndicatorName[] {
  return INDICATOR_NAMES.filter((name) => PLOTS[name].pane === pane);
}
