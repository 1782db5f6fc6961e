/**
 * Decodes incidents, decisions and silences of REST. What is malformed or unknown becomes `undefined` and is left out, so that
 * a row that is newer than the page affects no other.
 */

import type { EpochMillis } from '../helpers/nominal';
import { parseTime } from '../helpers/time';
import { type Decision, DECISION_STATUSES, type Incident, INCIDENT_STATES, type Silence } from '../model/alerts';
import { SEVERITIES, type Severity } from '../model/anomalies';
import type { WireDecision, WireIncident, WireSilence } from './wire';

function millis(value: unknown): EpochMillis | undefined {
  return typeof value === 'string' ? parseTime(value) : undefined;
}

function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function severity(value: unknown, otherwise: Severity): Severity {
  return SEVERITIES.find((each) => each === value) ?? otherwise;
}

/** The texts in a list. */
export function decodeNames(value: unknown): string[] {
  return Array.isArray(value) ? (value as unknown[]).filter((name) => typeof name === 'string') : [];
}

export function decodeIncident(wire: WireIncident | Readonly<Record<string, unknown>>): Incident | undefined {
  const { id, symbol, anomaly_type, state, told } = wire;
  const time = millis(wire.time);
  const known = INCIDENT_STATES.find((each) => each === state);
  if (typeof id !== 'string' || typeof symbol !== 'string' || time === undefined || known === undefined) return;
  return {
    id,
    time,
    symbol,
    type: text(anomaly_type),
    severity: severity(wire.severity, 'low'),
    state: known,
    changed: millis(wire.changed) ?? null,
    description: text(wire.description),
    value: numberOrNull(wire.current_value),
    expected: numberOrNull(wire.expected_value),
    threshold: numberOrNull(wire.threshold),
    told: text(told).split(' ').filter((channel) => channel !== ''),
    held: textOrNull(wire.held),
    acknowledgedBy: textOrNull(wire.acknowledged_by),
  };
}

export function decodeDecision(wire: WireDecision | Readonly<Record<string, unknown>>): Decision | undefined {
  const time = millis(wire.time);
  const status = DECISION_STATUSES.find((each) => each === wire.status);
  if (typeof wire.id !== 'string' || time === undefined || status === undefined) return;
  return { id: wire.id, time, channel: text(wire.channel), status, reason: text(wire.reason), attempts: numberOrNull(wire.attempts) ?? 0 };
}

export function decodeSilence(wire: WireSilence | Readonly<Record<string, unknown>>): Silence | undefined {
  const [start, end] = [millis(wire.start), millis(wire.end)];
  if (typeof wire.id !== 'string' || start === undefined || end === undefined) return;
  return {
    id: wire.id,
    start,
    end,
    symbols: decodeNames(wire.symbols),
    types: decodeNames(wire.types),
    maxSeverity: severity(wire.max_severity, 'critical'),
    comment: text(wire.comment),
    by: text(wire.created_by),
  };
}
