/**
 * Finding a symbol by what somebody types. Spelling is forgiven the way the server forgives it: case, separators and a
 * venue's prefix do not matter (`btc/usd`, `X:BTCUSD` and `BTC-USD` are one).
 */

function folded(text: string): string {
  return text
    .toUpperCase()
    .replace(/^[A-Z]:/, '')
    .replace(/[^A-Z0-9]/g, '');
}

/** Symbols that fit `query`, best first: the same, then those that begin with it, then those that hold it. */
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
