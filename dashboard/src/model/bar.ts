/**
 * A bar, and the rule that decides between two versions of it. Versions arrive by REST and by WebSocket, in any order, so the
 * rule must not depend on which arrived first.
 */

import type { EpochSeconds, Price } from '../helpers/nominal';

export type BarState = 'forming' | 'closed' | 'amended' | 'void';

/** The bar of one window of a symbol. */
export interface Bar {
  /** First instant of the window: the bar's key. */
  readonly start: EpochSeconds;
  /** First instant after the window. */
  readonly end: EpochSeconds;
  readonly open: Price;
  readonly high: Price;
  readonly low: Price;
  readonly close: Price;
  readonly volume: number;
  /** `null` when nothing in it counted for volume. */
  readonly vwap: Price | null;
  readonly tradeCount: number;
  readonly state: BarState;
  /** Log entries that changed it after it closed. */
  readonly revision: number;
  /** Share of the window in which its source was healthy, 0 to 1. */
  readonly coverage: number;
  /** True for a bar of the venue's own: nothing that our source said is in it. */
  readonly isVendors: boolean;
  /** Trades that came after the close and still counted. */
  readonly late: number;
  readonly duplicates: number;
  readonly cancelled: number;
}

/** True when an entry changed it after it closed. */
export function isAmended(bar: Bar): boolean {
  return bar.revision > 0;
}

/** True when its source was not healthy through the whole window, so trades may be missing in it: not in the venue's own. */
export function isPartial(bar: Bar): boolean {
  return bar.coverage < 1 && !bar.isVendors;
}

/**
 * Positive when `a` is the newer version of the same bar, negative when `b` is, 0 when nothing in them tells.
 * A bar only goes forward: forming, then closed, then one revision after the other. A cancel may take trades out of a
 * forming bar, so between two forming versions the trade count says nothing.
 */
export function compareVersions(a: Bar, b: Bar): number {
  const settled = Number(a.state !== 'forming') - Number(b.state !== 'forming');
  return settled !== 0 ? settled : a.revision - b.revision;
}
