/** The origin of the data on the page: a market, or something that must never be taken for one. */

export interface Origin {
  /** `live`, `simulated` or `replay`; a word that the page does not know is shown as it is. */
  readonly data: string;
  /** Name of the provider; `null` where the server does not say. */
  readonly provider: string | null;
}

/** The origin where the server does not say: servers that do came later. */
export const LIVE: Origin = { data: 'live', provider: null };

/** Progress of the past that the simulated venue makes up. */
export interface Past {
  /** Symbols whose past is complete. */
  readonly done: number;
  readonly total: number;
}

/** The text of the badge, in capitals; empty for live data, which needs none. */
export function badgeOf(origin: Origin): string {
  return origin.data === LIVE.data ? '' : origin.data.toUpperCase();
}

export function sameOrigin(a: Origin, b: Origin): boolean {
  return a.data === b.data && a.provider === b.provider;
}
