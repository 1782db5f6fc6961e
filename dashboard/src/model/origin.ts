/** Where the figures on the page come from: a market, or something that must never be taken for one. */

export interface Origin {
  /** `live`, `simulated` or `replay`; a word that is new to the page is shown as it is. */
  readonly data: string;
  /** Name of the provider; `null` where the server does not say. */
  readonly provider: string | null;
}

/** What a server means that says nothing: those that say more came later. */
export const LIVE: Origin = { data: 'live', provider: null };

/** How far the server is with the past that its simulated venue makes up. */
export interface Past {
  /** Symbols whose past is whole. */
  readonly done: number;
  readonly total: number;
}

/** The word of a badge, in capitals; empty for live data, which needs none. */
export function badgeOf(origin: Origin): string {
  return origin.data === LIVE.data ? '' : origin.data.toUpperCase();
}

export function sameOrigin(a: Origin, b: Origin): boolean {
  return a.data === b.data && a.provider === b.provider;
}
