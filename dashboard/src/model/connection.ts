/** The state of the line to the server, and what a person is told about it. */

import type { EpochMillis } from '../helpers/nominal';

export type ConnectionPhase =
  /** A socket is being opened or has not been answered yet. */
  | 'connecting'
  /** Subscribed and hearing from the server. */
  | 'live'
  /** Open, but nothing heard for longer than a healthy server is silent. */
  | 'stale'
  /** Closed; a next attempt is due. */
  | 'waiting';

export interface Connection {
  readonly phase: ConnectionPhase;
  /** Why the last connection ended, for people; empty when it did not. */
  readonly reason: string;
  /** When the next attempt is due, in phase `waiting`. */
  readonly retryAt: EpochMillis | null;
  /** Times the line was up again after it had been lost. */
  readonly reconnects: number;
}

export const DISCONNECTED: Connection = { phase: 'connecting', reason: '', retryAt: null, reconnects: 0 };

/** What a close code means to somebody who watches, and whether trying again soon can help. */
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
