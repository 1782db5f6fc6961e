/** The price now: one value for the header, the title and the label on the chart, so that they never differ. */

import type { Price } from '../helpers/nominal';
import type { Store } from './store';

/** The last price of the symbol that is shown: its newest tick's or, before the first tick, its newest bar's. */
export function priceNow({ selection, rows, series }: Store): Price | null {
  if (selection === null) return null;
  return rows.get(selection.symbol)?.last ?? series.newest?.close ?? null;
}
