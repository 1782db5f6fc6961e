/**
 * The view that an address names: `#/AAPL/5min?overlays=sma_20,ema_12&panes=rsi`, with `&page=system` or
 * `&page=alerts` for the views over the chart. What it leaves out, the preferences say, so that a bare address shows a reader's own choice and a full one shows
 * everybody the same.
 *
 * Promises: reading never throws, whatever was typed; what cannot be read counts as left out.
 */

/** What fills the page. */
export type PageName = 'chart' | 'system' | 'alerts';

const PAGES: readonly PageName[] = ['system', 'alerts'];

export interface View {
  readonly symbol: string;
  readonly window: string;
  /** Lines that are switched on, by the names of their indicators. */
  readonly overlays: readonly string[];
  readonly panes: readonly string[];
  readonly page: PageName;
}

/** A view as an address gives it. */
export type PartialView = { readonly [K in Exclude<keyof View, 'page'>]: View[K] | undefined } & Pick<View, 'page'>;

/** Writes a view as the hash of an address. Lists that are empty are written too: they say that nothing is switched on. */
export function writeView(view: View): string {
  const { symbol, window, overlays, panes, page } = view;
  const list = (names: readonly string[]): string => names.map(encodeURIComponent).join(',');
  return `#/${encodeURIComponent(symbol)}/${encodeURIComponent(window)}?overlays=${list(overlays)}&panes=${list(panes)}${page === 'chart' ? '' : `&page=${page}`}`;
}

/** Reads the hash of an address. */
export function readView(hash: string): PartialView {
  const [path = '', query = ''] = hash.split('?');
  const [, symbol, window] = path.split('/').map(decoded);
  const params = new Map(query.split('&').map((pair) => split(pair)));
  return {
    symbol: name(symbol),
    window: name(window),
    overlays: list(params.get('overlays')),
    panes: list(params.get('panes')),
    page: PAGES.find((page) => page === params.get('page')) ?? 'chart',
  };
}

function name(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function split(pair: string): [string, string] {
  const at = pair.indexOf('=');
  return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
}

function list(text: string | undefined): readonly string[] | undefined {
  if (text === undefined) return undefined;
  const names = text.split(',').map(decoded);
  return [...new Set(names.filter((each) => each !== undefined && each !== ''))] as string[];
}

/** Undoes percent-encoding; `undefined` for an escape that is none. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
