/**
 * Finds symbols by what the user types. Case, separators and a venue's prefix do not matter, as on the server: `btc/usd`,
 * `X:BTCUSD` and `BTC-USD` are the same.
 */

function folded(text: string): string {
  return text
    .toUpperCase()
    .replace(/^[A-Z]:/, '')
    .replace(/[^A-Z0-9]/g, '');
}

/** Symbols that match `query`, best first: equal ones, then those that begin with it, then those that contain it. */
export function searchSymbols(symbols: readonly string[], query: string, limit: number): string[] {
  const wanted = folded(query);
  const ranks: string[][] = [[], [], []];
  for (const symbol of symbols) {
    const place = folded(symbol).indexOf(wanted);
    if (place < 0) continue;
    const rank = place > 0 ? 2 : folded(symbol).length === wanted.length ? 0 : 1;
    ranks[rank]?.push(symbol);
  }
  return ranks.flat().slice(0, limit);
}
