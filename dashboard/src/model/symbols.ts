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

/**
 * Symbols that match `query`, best first: equal ones, then those that begin with it, then those that contain it, then those
 * that have its characters in this order with others between (`s05` finds `SYM0005`), in the fewest pieces first.
 */
export function searchSymbols(symbols: readonly string[], query: string, limit: number): string[] {
  const wanted = folded(query);
  const found: { readonly symbol: string; readonly rank: number }[] = [];
  for (const symbol of symbols) {
    const rank = rankOf(folded(symbol), wanted);
    if (rank !== undefined) found.push({ symbol, rank });
  }
  // Sorting is stable: equals stay in the order of the list.
  return found.sort((a, b) => a.rank - b.rank).slice(0, limit).map(({ symbol }) => symbol);
}

const EQUAL = 0;
const BEGINS = 1;
const CONTAINS = 2;

function rankOf(name: string, wanted: string): number | undefined {
  const place = name.indexOf(wanted);
  if (place >= 0) return place > 0 ? CONTAINS : name.length === wanted.length ? EQUAL : BEGINS;
  return scatteredRank(name, wanted);
}

/**
 * The rank of a name that has the characters in this order with others between; `undefined` when it has not. They are looked
 * for from the end, since the end of a name tells it from its neighbours: a match at the very end is better.
 */
function scatteredRank(name: string, wanted: string): number | undefined {
  let at = name.length;
  let pieces = 0;
  for (let left = wanted.length - 1; left >= 0; left -= 1) {
    const found = name.lastIndexOf(wanted.charAt(left), at - 1);
    if (found < 0 || at === 0) return undefined;
    if (found !== at - 1 || left === wanted.length - 1) pieces += 1;
    at = found;
  }
  const endsThere = name.endsWith(wanted.slice(-1));
  return CONTAINS + 2 * pieces + (endsThere ? 0 : 1);
}

/** The symbol that a name stands for, whatever its spelling; `undefined` when there is none. */
export function findSymbol(symbols: readonly string[], name: string): string | undefined {
  if (symbols.includes(name)) return name;
  const wanted = folded(name);
  return wanted === '' ? undefined : symbols.find((symbol) => folded(symbol) === wanted);
}
