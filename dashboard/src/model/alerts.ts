/**
 * Incidents: anomalies as people are told of them; the decisions that were made about each, and the silences that count. The
 * server has no channel of them, so what is held is what REST answered last.
 */

import type { EpochMillis } from '../helpers/nominal';
import { spanText } from '../helpers/time';
import type { Severity } from './anomalies';

export const INCIDENT_STATES = ['open', 'acknowledged', 'no_data', 'resolved', 'withdrawn', 'expired'] as const;
export type IncidentState = (typeof INCIDENT_STATES)[number];

export const DECISION_STATUSES = ['sent', 'held', 'failed', 'retrying'] as const;
export type DecisionStatus = (typeof DECISION_STATUSES)[number];

export interface Incident {
  /** That of its anomaly. */
  readonly id: string;
  /** Event time of the anomaly. */
  readonly time: EpochMillis;
  readonly symbol: string;
  readonly type: string;
  readonly severity: Severity;
  readonly state: IncidentState;
  /** When the state changed last. */
  readonly changed: EpochMillis | null;
  readonly description: string;
  readonly value: number | null;
  readonly expected: number | null;
  readonly threshold: number | null;
  /** The channels that were told of it. */
  readonly told: readonly string[];
  /** Why nobody was told; `null` where somebody was, or is about to be. */
  readonly held: string | null;
  readonly acknowledgedBy: string | null;
}

/** What was decided about an incident and a channel, and what became of it. */
export interface Decision {
  readonly id: string;
  readonly time: EpochMillis;
  readonly channel: string;
  readonly status: DecisionStatus;
  /** Why it stands there, in the server's words; empty for one that was sent. */
  readonly reason: string;
  readonly attempts: number;
}

/** What nobody is to be told of for a while. */
export interface Silence {
  readonly id: string;
  readonly start: EpochMillis;
  readonly end: EpochMillis;
  /** `*` at an end stands for any rest; all where there are none. */
  readonly symbols: readonly string[];
  /** All where there are none. */
  readonly types: readonly string[];
  readonly maxSeverity: Severity;
  readonly comment: string;
  readonly by: string;
}

/** A silence to make, as the reader filled it in. */
export interface NewSilence {
  readonly symbols: readonly string[];
  readonly types: readonly string[];
  readonly maxSeverity: Severity;
  readonly end: EpochMillis;
  readonly comment: string;
}

/** Which incidents are listed; an empty text leaves a field out. */
export interface IncidentFilter {
  readonly state: IncidentState | '';
  readonly severity: Severity | '';
  readonly type: string;
  readonly symbol: string;
}

export const NO_FILTER: IncidentFilter = { state: '', severity: '', type: '', symbol: '' };

export interface IncidentPage {
  readonly incidents: readonly Incident[];
  /** Address of the page before it in time; `null` where there is none. */
  readonly next: string | null;
}

/** How far the page is with asking: `missing` where the server has no alerts. */
export type AlertPhase = 'loading' | 'ready' | 'failed' | 'missing';

export interface AlertsState {
  readonly phase: AlertPhase;
  /** Why it failed, and what to do next. */
  readonly fault: string;
  /** Incidents that nobody has seen to: open ones, and those whose data stopped coming. */
  readonly numOpen: number;
  /** True when there are more of them than were counted. */
  readonly hasMoreOpen: boolean;
  readonly filter: IncidentFilter;
  /** Those that the filter lets through, newest first. */
  readonly incidents: readonly Incident[];
  readonly next: string | null;
  readonly silences: readonly Silence[];
}

export const NO_ALERTS: AlertsState = { phase: 'loading', fault: '', numOpen: 0, hasMoreOpen: false, filter: NO_FILTER, incidents: [], next: null, silences: [] };

/** True for one that nobody has seen to yet. */
export function needsAttention({ state }: Pick<Incident, 'state'>): boolean {
  return state === 'open' || state === 'no_data';
}

/** The number of open ones as it is shown: `3`, `99+`; empty for none. */
export function openText({ numOpen, hasMoreOpen }: Pick<AlertsState, 'numOpen' | 'hasMoreOpen'>): string {
  if (numOpen === 0) return '';
  return hasMoreOpen || numOpen > 99 ? '99+' : String(numOpen);
}

export const STATE_TEXTS: Readonly<Record<IncidentState, string>> = {
  open: 'open',
  acknowledged: 'acknowledged',
  no_data: 'no data',
  resolved: 'resolved',
  withdrawn: 'withdrawn',
  expired: 'expired',
};

/** The words that the reason of a decision begins with, for people. */
const REASONS: Readonly<Record<string, string>> = {
  no_route: 'no route leads to a channel',
  too_old: 'it became known too long after it happened',
  silenced: 'a silence counts',
  feed_down: 'the feed of its symbol was down',
  cooldown: 'one of this symbol and type was sent shortly before',
  ended: 'it ended before the message went out',
  withdrawn: 'it was withdrawn before the message went out',
  acknowledged: 'somebody saw to it before the message went out',
  goes_on: 'it goes on, so its end is not told',
  too_many: 'too many incidents are open',
};

/** A reason for people: what the server says behind the word, or what the word means; what is not known is shown as it is. */
export function reasonText(reason: string): string {
  const [, word = '', detail = ''] = /^([a-z_]+)(?:: (.*))?$/s.exec(reason) ?? [];
  const known = REASONS[word];
  if (known === undefined) return reason;
  return detail === '' ? known : detail;
}

/** Who was told of an incident, or why nobody was. */
export function toldText({ told, held, state }: Pick<Incident, 'told' | 'held' | 'state'>): string {
  if (told.length > 0) return `told: ${told.join(', ')}`;
  if (held !== null) return `held back: ${reasonText(held)}`;
  return state === 'open' || state === 'no_data' ? 'about to be told' : 'nobody was told';
}

/** What a decision came to. */
export function decisionText({ status, reason, attempts }: Decision): string {
  const tries = attempts > 1 ? ` after ${attempts} attempts` : '';
  switch (status) {
    case 'sent':
      return `sent${tries}${reason === '' ? '' : `: ${reasonText(reason)}`}`;
    case 'held':
      return `held back: ${reasonText(reason)}`;
    case 'failed':
      return `failed${tries}${reason === '' ? '' : `: ${reasonText(reason)}`}`;
    case 'retrying':
      if (attempts === 0) return 'waits to be sent';
      return `tried ${attempts === 1 ? 'once' : `${attempts} times`}, will be tried again${reason === '' ? '' : `: ${reasonText(reason)}`}`;
  }
}

/** What a silence is about. */
export function scopeText({ symbols, types, maxSeverity }: Pick<Silence, 'symbols' | 'types' | 'maxSeverity'>): string {
  const whose = symbols.length === 0 ? 'all symbols' : symbols.join(', ');
  const what = types.length === 0 ? 'all types' : types.join(', ');
  return `${whose} · ${what}${maxSeverity === 'critical' ? '' : ` · up to ${maxSeverity}`}`;
}

/** The page knows the server's clock about as well as this: what begins within it has begun. */
const CLOCK_MS = 5_000;

/** How long a silence still counts, or when it begins to. */
export function leftText({ start, end }: Pick<Silence, 'start' | 'end'>, now: EpochMillis): string {
  if (start - now > CLOCK_MS) return `begins in ${spanText((start - now) / 1000)}`;
  return end <= now ? 'over' : `${spanText((end - now) / 1000)} left`;
}

/** The names in a text that a reader typed, with commas or blanks between them. */
export function namesIn(text: string): string[] {
  return [...new Set(text.split(/[\s,;]+/).filter((name) => name !== ''))];
}

/** A refusal, and what to do next. */
export function adviceOf(status: number, detail: string): string {
  if (status === 0) return 'No answer from the server. The page asks again by itself.';
  if (status === 401 || status === 403) return `The server refuses: ${detail}. Open the page under an address, or with an account, that it admits.`;
  if (status === 429 || status >= 500) return `The server cannot answer now: ${detail}. The page asks again by itself; the view of the system says what is wrong.`;
  return `The server refuses: ${detail}.`;
}
