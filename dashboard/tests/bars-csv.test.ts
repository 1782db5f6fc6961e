/** The CSV that the page saves. */

import { expect, test } from 'vitest';
import type { EpochSeconds, Price } from '../src/helpers/nominal';
import { barsCsv } from '../src/model/bars-csv';
import { INDICATOR_NAMES, type Indicators } from '../src/model/indicators';
import { bar } from './support';

const HEAD = 'time,symbol,window,window_start,window_end,open,high,low,close,volume,vwap,trade_count,state,revision,coverage,late,duplicates,cancelled';

function indicators(end: EpochSeconds, changes: Partial<Indicators['values']>): Indicators {
  const none = Object.fromEntries(INDICATOR_NAMES.map((name) => [name, null])) as Indicators['values'];
  return { end, values: { ...none, ...changes } };
}

test('bars have the server’s columns, and those of the indicators that are shown', () => {
  const bars = [bar(0, { vwap: null }), bar(1, { open: 0.1 as Price, volume: 1e-7, state: 'amended', revision: 2, coverage: 0.5, late: 1 })];
  const values = new Map(bars.slice(1).map(({ end }) => [end, indicators(end, { rsi_14: 51.25, macd: -0.0625 })]));
  expect(barsCsv({ symbol: 'AAPL', window: '1min' }, bars, values, ['rsi_14', 'macd', 'sma_200'])).toBe(
    [
      `${HEAD},rsi_14,macd,sma_200`,
      '2025-11-23T12:21:00Z,AAPL,1min,2025-11-23T12:20:00Z,2025-11-23T12:21:00Z,100,100,100,100,10,,1,closed,0,1,0,0,0,,,',
      '2025-11-23T12:22:00Z,AAPL,1min,2025-11-23T12:21:00Z,2025-11-23T12:22:00Z,0.1,101,101,101,1e-7,101,1,amended,2,0.5,1,0,0,51.25,-0.0625,',
      '',
    ].join('\n'),
  );
});

test('no bars are a header', () => {
  expect(barsCsv({ symbol: 'AAPL', window: '1min' }, [], new Map(), [])).toBe(`${HEAD}\n`);
});

test('a name with a comma or a quote stays one field', () => {
  const [, line = ''] = barsCsv({ symbol: 'A,"B"', window: '1min' }, [bar(0)], new Map(), []).split('\n');
  expect(line.startsWith('2025-11-23T12:21:00Z,"A,""B""",1min,')).toBe(true);
});
