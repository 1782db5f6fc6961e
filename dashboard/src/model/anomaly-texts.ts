/** Anomalies in words and figures, for the list, the evidence, and whoever listens instead of looking. */

import { counted, NONE } from '../helpers/format';
import type { EpochMillis } from '../helpers/nominal';
import { clockText, instantText, toSeconds } from '../helpers/time';
import type { Zone } from '../helpers/zone';
import type { Anomaly } from './anomalies';

const LABELS: Readonly<Record<string, string>> = {
  price_spike: 'Price spike',
  volume_spike: 'Volume spike',
  rsi_overbought: 'RSI overbought',
  rsi_oversold: 'RSI oversold',
  rule: 'Your rule',
};

/** Units of thresholds, by type. */
const UNITS: Readonly<Record<string, string>> = {
  price_spike: ' %',
  volume_spike: ' ×',
  high_latency: ' ms',
  stale_feed: ' s',
  venue_divergence: ' bp',
  clock_off: ' s',
  sink_behind: ' s',
};

const exact = new Intl.NumberFormat('en-US', { maximumFractionDigits: 9 });
/** Digits that a mean of decimals has to tell; the rest is noise of the arithmetic. */
const DIGITS = 12;

/** A type in words: rules may have any name. */
export function typeLabel(type: string): string {
  const words = type.replaceAll(/[_.-]+/g, ' ').trim();
  return LABELS[type] ?? words.charAt(0).toUpperCase() + words.slice(1);
}

/** The letter of a type on the chart. */
export function typeLetter(type: string): string {
  return typeLabel(type).charAt(0);
}

/** The unit of a type's thresholds. */
export function typeUnit(type: string): string {
  return UNITS[type] ?? '';
}

/** A value with all the digits that it has. */
export function exactText(value: number | null): string {
  return value === null || !Number.isFinite(value) ? NONE : exact.format(Number(value.toPrecision(DIGITS))).replace(/^-/, '−');
}

/** `2026-11-23 14:03:27.250 UTC` */
export function momentText(time: EpochMillis, zone: Zone): string {
  const seconds = toSeconds(time);
  const millis = time - seconds * 1000;
  const part = millis === 0 ? '' : `.${String(millis).padStart(3, '0')}`;
  return `${instantText(seconds, zone).slice(0, 10)} ${clockText(time, zone)}${part} ${zone.abbreviation(seconds)}`;
}

/** What an anomaly says and follows from, a row each. */
export function evidenceRows(anomaly: Anomaly, zone: Zone): readonly (readonly [name: string, text: string])[] {
  const { evidence } = anomaly;
  const { window, windowStart, logPos, barRevision, tradeId, bars, method, revision, others } = evidence;
  const made = method === null ? '' : ` (${method}${bars === null ? '' : ` of ${counted(bars, 'bar')}`})`;
  const rows: (readonly [string, string] | null)[] = [
    ['Value', exactText(anomaly.value)],
    ['Baseline', `${exactText(anomaly.expected)}${anomaly.expected === null ? '' : made}`],
    ['Threshold', `${exactText(anomaly.threshold)}${anomaly.threshold === null ? '' : typeUnit(anomaly.type)}`],
    ['Severity', anomaly.severity],
    ['State', stateText(anomaly)],
    ['Time', momentText(anomaly.time, zone)],
    window === null ? null : [barRevision === null ? 'Window' : 'Bar', `${window}${windowStart === null ? '' : ` from ${instantText(windowStart, zone)}`}`],
    barRevision === null ? null : ['Revision of the bar', String(barRevision)],
    tradeId === null ? null : ['Trade', tradeId],
    logPos === null ? null : ['Position in the log', logPos],
    ['Changed', revision === 0 ? 'never' : counted(revision, 'time')],
    ...others,
    ['Id', anomaly.id],
  ];
  return rows.filter((row) => row !== null);
}

/** The state with what it means. */
function stateText({ state }: Anomaly): string {
  switch (state) {
    case 'active':
      return 'active';
    case 'ended':
      return 'ended: it does not hold any more';
    case 'withdrawn':
      return 'withdrawn: its data were corrected';
  }
}

/** An anomaly in a sentence. */
export function sentence(anomaly: Anomaly, zone: Zone): string {
  const state = anomaly.state === 'active' ? '' : `, ${anomaly.state}`;
  return `${typeLabel(anomaly.type)}, ${anomaly.severity}${state}, ${momentText(anomaly.time, zone)}: ${anomaly.description}`;
}
