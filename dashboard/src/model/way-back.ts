/**
 * What a chart without bars says, and where it leads when there is nothing to wait for: an address may name a symbol or a
 * window that the server does not have.
 */

import type { Store } from './store';

export interface Explanation {
  readonly text: string;
  /** Views that exist, to go to instead; none where waiting helps. */
  readonly ways: readonly { readonly symbol: string; readonly window: string; readonly text: string }[];
}

/** Codes with which the server refuses a symbol. */
const NO_SYMBOL = 'unknown_symbol';

/**
 * Explains an empty chart; `undefined` when there are bars, or nothing is selected.
 *
 * @param last symbol and window that were shown last, as far as there are any
 */
export function explain(store: Store, last: { readonly symbol: string | null; readonly window: string | null }): Explanation | undefined {
  const { selection, series, history, historyError, symbols, windows } = store;
  if (series.length > 0) return undefined;
  if (selection === null) return { text: 'Waiting for the server to name its symbols…', ways: [] };
  const { symbol, window } = selection;
  const hasWindow = windows.length === 0 || windows.includes(window);
  // Of two faults the server names one. The list alone proves nothing: it may be older than the symbol.
  const hasSymbol = !(history === 'failed' && (historyError.code === NO_SYMBOL || (!hasWindow && !symbols.includes(symbol))));
  if (!hasSymbol || !hasWindow) {
    const missing = [hasSymbol ? '' : `no symbol “${symbol}”`, hasWindow ? '' : `no window “${window}”`].filter((part) => part !== '');
    const there = (hasSymbol ? [symbol] : [known(symbols, last.symbol)]).filter((each) => each !== undefined);
    const near = (hasWindow ? [window] : [known(windows, last.window)]).filter((each) => each !== undefined);
    const ways = there.flatMap((other) => near.map((width) => ({ symbol: other, window: width, text: `Show ${other}, ${width}` })));
    return { text: `There is ${missing.join(' and ')}.`, ways };
  }
  if (history === 'loading') return { text: 'Loading…', ways: [] };
  if (history === 'failed') return { text: `No history: ${historyError.text}`, ways: [] };
  return { text: 'No bars yet. The first trade makes one.', ways: [] };
}

/** The one shown last if it is there, else the first. */
function known(list: readonly string[], last: string | null): string | undefined {
  return last !== null && list.includes(last) ? last : list[0];
}
