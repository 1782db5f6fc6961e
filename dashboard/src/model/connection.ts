/** The state of the connection to the server, and its description for the user. */

import type { EpochMillis } from '../helpers/nominal';

export type ConnectionPhase =
  /** A socket is being opened or has not been answered yet. */
  | 'connecting'
  /** Subscribed and receiving. */
  | 'live'
  /** Open, but nothing was received for longer than a healthy server is silent. */
  | 'stale'
  /** Closed; the next attempt is scheduled. */
  | 'waiting';

export interface Connection {
  readonly phase: ConnectionPhase;
  /** Why the last connection ended, for the user; empty when none has ended. */
  readonly reason: string;
  /** When the next attempt is due, in phase `waiting`. */
  readonly retryAt: EpochMillis | null;
  /** Number of successful reconnects. */
  readonly reconnects: number;
}

export const DISCONNECTED: Connection = { phase: 'connecting', reason: '', retryAt: null, reconnects: 0 };

/** The meaning of a close code for the user, and whether the server refuses, so that retrying soon cannot help. */
export function closeReason(code: number, reason: string): { readonly text: string; readonly refused: boolean } {
  const known = reason.toLowerCase();
  if (known.includes('auth') || code === 4401) return { text: 'not authorised', refused: true };
  if (known.includes('limit') || code === 1013) return { text: 'server is full', refused: true };
  if (known.includes('slow')) return { text: 'too slow for the feed', refused: false };
  if (known.includes('idle')) return { text: 'closed as idle', refused: false };
  if (known.includes('shutdown') || code === 1001 || code === 1012) return { text: 'server stopped', refused: false };
  if (known.includes('silent')) return { text: 'server fell silent', refused: false };
  return { text: 'connection lost', refused: false };
}
