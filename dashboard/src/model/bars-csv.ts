/**
 * Bars as CSV, with the columns that the server's own CSV has and those of the indicators that are shown.
 *
 * Promises: numbers are as the server sent them, and read back exactly; times are UTC, whatever zone the page shows, so
 * that a file means the same to everybody.
 */

import { toWireTime } from '../helpers/time';
import type { EpochSeconds } from '../helpers/nominal';
import type { Bar } from './bar';
import type { IndicatorName, Indicators } from './indicators';
import type { Selection } from './store';

const BAR_COLUMNS = ['time', 'symbol', 'window', 'window_start', 'window_end', 'open', 'high', 'low', 'close', 'volume', 'vwap', 'trade_count', 'state', 'revision', 'coverage', 'late', 'duplicates', 'cancelled'] as const;

/** @param names indicators to add as columns; empty where a bar has none yet */
export function barsCsv({ symbol, window }: Selection, bars: readonly Bar[], indicators: ReadonlyMap<EpochSeconds, Indicators>, names: readonly IndicatorName[]): string {
  const lines = [[...BAR_COLUMNS, ...names].join(',')];
  for (const bar of bars) {
    const [start, end] = [toWireTime(bar.start), toWireTime(bar.end)];
    const values = indicators.get(bar.end)?.values;
    const cells: readonly (string | number | null | undefined)[] = [
      end, symbol, window, start, end,
      bar.open, bar.high, bar.low, bar.close, bar.volume, bar.vwap, bar.tradeCount,
      bar.state, bar.revision, bar.coverage, bar.late, bar.duplicates, bar.cancelled,
      ...names.map((name) => values?.[name]),
    ];
    lines.push(cells.map((cell) => field(cell)).join(','));
  }
  return `${lines.join('\n')}\n`;
}

function field(value: string | number | null | undefined): string {
  const text = value === null || value === undefined ? '' : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
