/** The messages of the live feed as values of the model; their form on the wire is known to `api/` only. */

import type { EpochMillis, Price } from '../helpers/nominal';
import type { AnomalyMessage } from './anomalies';
import type { Bar } from './bar';
import type { FeedState } from './feed-state';
import type { Indicators } from './indicators';
import type { Origin, Past } from './origin';
import type { LedgerMessage, SystemMessage } from './system';

export interface Tick {
  readonly kind: 'tick';
  readonly symbol: string;
  readonly price: Price;
  readonly volume: number;
  readonly time: EpochMillis;
  readonly seq: number | null;
  /** The current state of the feed; only in a snapshot, where the tick may be old. */
  readonly feed?: FeedState;
}

export interface BarMessage {
  readonly kind: 'bar';
  readonly symbol: string;
  readonly window: string;
  readonly bar: Bar;
  readonly seq: number | null;
}

export interface IndicatorsMessage {
  readonly kind: 'indicators';
  readonly symbol: string;
  readonly window: string;
  readonly indicators: Indicators;
  readonly seq: number | null;
}

/** A symbol's newest state: from REST, or from a `feed` frame when the state of its source changes. */
export interface Latest {
  readonly kind: 'latest';
  readonly symbol: string;
  readonly price: Price | null;
  readonly time: EpochMillis | null;
  readonly feed: FeedState;
  /** Price now less the price that change is counted from; `undefined` leaves the reference as it is. */
  readonly change?: number | null;
}

/** The server's own figures, once a second. */
export interface Metrics {
  readonly kind: 'metrics';
  /** The server's time. */
  readonly time: EpochMillis | null;
  readonly ticksPerSecond: number | null;
  readonly latencyP50: number | null;
  readonly latencyP99: number | null;
  readonly residue: number | null;
  readonly past: Past | null;
}

export type Message =
  | AnomalyMessage
  | Tick
  | BarMessage
  | IndicatorsMessage
  | Latest
  | Metrics
  | LedgerMessage
  | SystemMessage
  | { readonly kind: 'connection'; readonly epoch: string | null; readonly time: EpochMillis | null; readonly origin: Origin }
  | { readonly kind: 'subscription'; readonly epoch: string | null; readonly unknown: readonly string[] }
  | { readonly kind: 'snapshot'; readonly epoch: string | null; readonly messages: readonly Message[] }
  | { readonly kind: 'resync'; readonly epoch: string | null }
  | { readonly kind: 'skipped'; readonly channel: string; readonly symbol: string; readonly count: number }
  | { readonly kind: 'error'; readonly code: string; readonly detail: string }
  | { readonly kind: 'pong'; readonly time: EpochMillis | null };
