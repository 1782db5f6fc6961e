/**
 * The zone that times are shown in: UTC, the reader's, or the exchange's.
 *
 * The server says what a symbol is (`asset_class`), not where it trades, so the exchange's zone is that of the class:
 * shares by New York, futures by Chicago; what trades round the clock everywhere has no exchange, and stays with UTC.
 */

import { UTC, Zone } from '../helpers/zone';

export const ZONE_CHOICES = ['utc', 'exchange', 'local'] as const;
export type ZoneChoice = (typeof ZONE_CHOICES)[number];

const EXCHANGES: Readonly<Record<string, Zone>> = { equity: new Zone('America/New_York'), future: new Zone('America/Chicago') };

/** The zone of a symbol's exchange. */
export function exchangeZone(assetClass: string | undefined): Zone {
  return EXCHANGES[assetClass ?? ''] ?? UTC;
}

/**
 * @param local the reader's zone
 * @param assetClass of the symbol that is shown; `undefined` where the server has not said
 */
export function zoneOf(choice: ZoneChoice, local: Zone, assetClass: string | undefined): Zone {
  if (choice === 'utc') return UTC;
  return choice === 'local' ? local : exchangeZone(assetClass);
}
