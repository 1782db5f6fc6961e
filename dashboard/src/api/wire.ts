/**
 * What the server sends, as far as this page reads it. Fields that an older or newer server may leave out are optional;
 * everything the page does not know it skips.
 */

/** A bar, as REST and the `bars` channel give it. */
export interface WireBar {
  readonly time?: string;
  readonly symbol: string;
  readonly window: string;
  readonly window_start: string;
  readonly window_end: string;
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
  readonly volume: number;
  readonly vwap: number | null;
  readonly trade_count: number;
  readonly state?: string;
  readonly revision?: number;
  readonly coverage?: number;
  readonly origin?: string;
  readonly late?: number;
  readonly duplicates?: number;
  readonly cancelled?: number;
  readonly seq?: number;
}

/** A tick of the `ticks` channel. */
export interface WireTick {
  readonly symbol: string;
  readonly price: number;
  readonly volume: number;
  readonly timestamp: string;
  readonly tick_type?: string;
  readonly seq?: number;
  /** In a snapshot only. */
  readonly feed?: string;
}

/** An answer of `/latest`, or a `feed` frame (which may carry the state alone). */
export interface WireLatest {
  readonly symbol: string;
  readonly price?: number | null;
  readonly timestamp?: string | null;
  readonly feed?: string;
  readonly change?: number | null;
}

/** Indicators of one bar; the value names are those of [INDICATOR_NAMES]. */
export interface WireIndicators {
  readonly symbol: string;
  readonly window: string;
  readonly timestamp: string | null;
  readonly seq?: number;
  readonly [name: string]: unknown;
}

/** An answer of `/symbols`. */
export interface WireSymbols {
  readonly symbols: readonly string[];
  readonly details?: unknown;
  readonly windows?: readonly string[];
}

/** An answer of `/health`, as far as it is read. */
export interface WireHealth {
  readonly data?: string;
  readonly provider?: string;
  readonly details?: { readonly past?: { readonly done: number; readonly total: number } };
}

/** A row of `/dead-letters`. */
export interface WireDeadLetter {
  readonly reason?: string;
  readonly symbol?: string | null;
  readonly provider?: string;
  readonly received_at?: string;
  readonly payload?: string;
}

/** A row of `/anomalies`, and a frame of the channel `anomalies`. */
export interface WireAnomaly {
  readonly id?: string;
  readonly time?: string;
  readonly symbol?: string;
  readonly anomaly_type?: string;
  readonly severity?: string;
  readonly description?: string;
  readonly current_value?: number | null;
  readonly expected_value?: number | null;
  readonly threshold?: number | null;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly state?: string;
}

/** A row of `/alerts/incidents`. */
export interface WireIncident {
  readonly id?: string;
  readonly time?: string;
  readonly symbol?: string;
  readonly anomaly_type?: string;
  readonly severity?: string;
  readonly state?: string;
  readonly changed?: string;
  readonly description?: string;
  readonly current_value?: number | null;
  readonly expected_value?: number | null;
  readonly threshold?: number | null;
  readonly told?: string;
  readonly held?: string | null;
  readonly acknowledged_by?: string | null;
}

/** A row of `/alerts`: one decision. */
export interface WireDecision {
  readonly id?: string;
  readonly time?: string;
  readonly channel?: string;
  readonly status?: string;
  readonly reason?: string;
  readonly attempts?: number;
}

/** A row of `/alerts/silences`. */
export interface WireSilence {
  readonly id?: string;
  readonly start?: string;
  readonly end?: string;
  readonly symbols?: readonly string[];
  readonly types?: readonly string[];
  readonly max_severity?: string;
  readonly comment?: string;
  readonly created_by?: string;
}

/** The answer to an acknowledgement: ids, by what became of them. */
export interface WireAcknowledged {
  readonly acknowledged: readonly string[];
  readonly closed: readonly string[];
  readonly unknown: readonly string[];
}

/** A problem document. */
export interface WireProblem {
  readonly code?: string;
  readonly detail?: string;
}

/** What the page asks for over the socket. */
export interface WireRequest {
  readonly type: 'subscribe' | 'unsubscribe';
  readonly symbols: readonly string[];
  readonly channels: readonly string[];
  readonly windows?: readonly string[];
  /** False leaves out bars in progress. */
  readonly forming?: boolean;
  /** The newest tick of each symbol, at most this often. */
  readonly interval_ms?: number;
  readonly since?: { readonly epoch: string; readonly seqs: Readonly<Record<string, number>> };
}
