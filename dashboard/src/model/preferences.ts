/**
 * What the page remembers from one visit to the next, and how that is written down.
 *
 * Promises: whatever is found in the browser's storage (an older version's, another program's, a hand-edited one) gives
 * preferences that the page can work with: each field that is missing or malformed has its default, the others are kept.
 */

import { ZONE_CHOICES, type ZoneChoice } from './zones';

export const THEMES = ['dark', 'light'] as const;
export type Theme = (typeof THEMES)[number];

/** Columns that the watchlist can be sorted by. */
export const COLUMNS = ['symbol', 'last', 'change', 'volume'] as const;
export type Column = (typeof COLUMNS)[number];

/** The order of the watchlist. */
export interface Sort {
  readonly column: Column;
  readonly descending: boolean;
}

export interface Preferences {
  /** `null` follows the system. */
  readonly theme: Theme | null;
  /** The symbol and window shown last; `null` before the first. */
  readonly symbol: string | null;
  readonly window: string | null;
  /** Lines on the price scale that are switched on, by the names of their indicators. */
  readonly overlays: readonly string[];
  /** Panes below the chart that are switched on. */
  readonly panes: readonly string[];
  /** Symbols that stand above the others in the watchlist. */
  readonly pins: readonly string[];
  readonly sort: Sort;
  /** Whose clock times are written by. */
  readonly timeZone: ZoneChoice;
  /** Who the reader is, as they said, for those who see what was acknowledged; may be empty. */
  readonly reader: string;
  /** True when prices are drawn to a logarithmic scale. */
  readonly logScale: boolean;
}

export const DEFAULTS: Preferences = {
  theme: null,
  symbol: null,
  window: null,
  overlays: [],
  panes: [],
  pins: [],
  sort: { column: 'symbol', descending: false },
  timeZone: 'utc',
  logScale: false,
  reader: '',
};

/** Version of the form below. A later one that means something else by a field takes the next number, and reads this one. */
const VERSION = 1;

/** Names in a list at most, and characters in a name: storage may hold anything. */
const NAMES_MAX = 1_000;
const NAME_CHARACTERS_MAX = 100;

export function writePreferences(preferences: Preferences): string {
  return JSON.stringify({ version: VERSION, ...preferences });
}

/** Reads what [writePreferences] wrote; `null` stands for storage that holds nothing. */
export function readPreferences(text: string | null): Preferences {
  const fields = parse(text);
  if (fields['version'] !== VERSION) return DEFAULTS;
  const sort = isFields(fields['sort']) ? fields['sort'] : {};
  return {
    theme: oneOf(THEMES, fields['theme'], DEFAULTS.theme),
    symbol: nameOr(fields['symbol'], DEFAULTS.symbol),
    window: nameOr(fields['window'], DEFAULTS.window),
    overlays: names(fields['overlays']),
    panes: names(fields['panes']),
    pins: names(fields['pins']),
    sort: {
      column: oneOf(COLUMNS, sort['column'], DEFAULTS.sort.column),
      descending: sort['descending'] === true,
    },
    timeZone: oneOf(ZONE_CHOICES, fields['timeZone'], DEFAULTS.timeZone),
    logScale: fields['logScale'] === true,
    reader: nameOr(fields['reader'], DEFAULTS.reader),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parse(text: string | null): Fields {
  if (text === null) return {};
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : {};
  } catch {
    return {};
  }
}

function oneOf<T extends string, D>(known: readonly T[], value: unknown, otherwise: D): T | D {
  return known.find((each) => each === value) ?? otherwise;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= NAME_CHARACTERS_MAX;
}

function nameOr<D>(value: unknown, otherwise: D): string | D {
  return isName(value) ? value : otherwise;
}

/** The names in a list, each once. */
function names(value: unknown): readonly string[] {
  if (!Array.isArray(value)) return [];
  return [...new Set((value as unknown[]).filter(isName))].slice(0, NAMES_MAX);
}
