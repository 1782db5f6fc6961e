/**
 * Decodes JSON of the server to values of the model.
 *
 * Promises: never throws. What is malformed or unknown becomes `undefined` and is left out, so that a bad frame, or a kind of
 * frame that is newer than the page, affects nothing else. `tests/fixtures/wire` has a sample of each, made by the server.
 */

import type { EpochMillis, EpochSeconds, Price } from '../helpers/nominal';
import { parseTime, toSeconds } from '../helpers/time';
import { type Anomaly, ANOMALY_STATES, type Evidence, SEVERITIES } from '../model/anomalies';
import type { Bar, BarState } from '../model/bar';
import { INDICATOR_NAMES, type IndicatorName, type Indicators } from '../model/indicators';
import type { FeedState } from '../model/feed-state';
import type { BarMessage, Latest, Message } from '../model/message';
import { LIVE, type Origin, type Past } from '../model/origin';
import { type Component, LEDGER_FIELDS, type LedgerCounts, type LedgerField, type LedgerMessage, type Point, type SystemMessage } from '../model/system';
import type { WireAnomaly, WireBar, WireIndicators, WireLatest, WireTick } from './wire';

type Fields = Readonly<Record<string, unknown>>;

const BAR_STATES: readonly string[] = ['forming', 'closed', 'amended', 'void'] satisfies BarState[];
const FEED_STATES: readonly string[] = ['live', 'quiet', 'stale', 'dead'] satisfies FeedState[];
/** Lists that a snapshot may hold, and the frame type of their members. */
const SNAPSHOT_LISTS: Readonly<Record<string, string>> = { ticks: 'tick', bars: 'bar', indicators: 'indicators', ledgers: 'ledger' };

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function numberOr<T>(value: unknown, otherwise: T): number | T {
  return isNumber(value) ? value : otherwise;
}

function textOr<T>(value: unknown, otherwise: T): string | T {
  return typeof value === 'string' ? value : otherwise;
}

function millis(value: unknown): EpochMillis | undefined {
  return typeof value === 'string' ? parseTime(value) : undefined;
}

function seconds(value: unknown): EpochSeconds | undefined {
  const time = millis(value);
  return time === undefined ? undefined : toSeconds(time);
}

/** Reads a bar with the topic it belongs to. */
export function decodeBar(wire: WireBar | Fields): BarMessage | undefined {
  const fields = wire as Fields;
  const start = seconds(fields['window_start']);
  const end = seconds(fields['window_end']);
  const { symbol, window, open, high, low, close } = fields as Partial<WireBar>;
  if (typeof symbol !== 'string' || typeof window !== 'string' || start === undefined || end === undefined) return;
  const state = textOr(fields['state'], 'closed');
  if (!BAR_STATES.includes(state)) return;
  // A void bar has no prices; only its window matters.
  const priced = isNumber(open) && isNumber(high) && isNumber(low) && isNumber(close);
  if (!priced && state !== 'void') return;
  const bar: Bar = {
    start,
    end,
    open: numberOr(open, 0) as Price,
    high: numberOr(high, 0) as Price,
    low: numberOr(low, 0) as Price,
    close: numberOr(close, 0) as Price,
    volume: numberOr(fields['volume'], 0),
    vwap: numberOr(fields['vwap'], null) as Price | null,
    tradeCount: numberOr(fields['trade_count'], 0),
    state: state as BarState,
    revision: numberOr(fields['revision'], 0),
    coverage: numberOr(fields['coverage'], 1),
    isVendors: fields['origin'] === 'vendor',
    late: numberOr(fields['late'], 0),
    duplicates: numberOr(fields['duplicates'], 0),
    cancelled: numberOr(fields['cancelled'], 0),
  };
  return { kind: 'bar', symbol, window, bar, seq: numberOr(fields['seq'], null) };
}

/** Reads the indicators of one bar. */
export function decodeIndicators(wire: WireIndicators | Fields): Indicators | undefined {
  const end = seconds(wire['timestamp'] ?? wire['time']);
  if (end === undefined) return;
  const values = {} as Record<IndicatorName, number | null>;
  for (const name of INDICATOR_NAMES) values[name] = numberOr(wire[name], null);
  return { end, values };
}

/** Reads a symbol's newest state. */
export function decodeLatest(wire: WireLatest | Fields): Latest | undefined {
  const fields = wire as Fields;
  const symbol = fields['symbol'];
  if (typeof symbol !== 'string') return;
  return {
    kind: 'latest',
    symbol,
    price: numberOr(fields['price'], null) as Price | null,
    time: millis(fields['timestamp']) ?? null,
    feed: feedState(fields) ?? 'live',
    ...(fields['change'] === undefined ? {} : { change: numberOr(fields['change'], null) }),
  };
}

/** What an anomaly follows from; what no rule of the server's own says is kept as text. */
function decodeEvidence(value: unknown): Evidence {
  const fields = isFields(value) ? value : {};
  const { window, window_start, log_pos, bar_revision, trade_id, bars, method, revision, ...rest } = fields;
  const others = Object.entries(rest).map(([name, other]): [string, string] => [name, typeof other === 'string' ? other : JSON.stringify(other)]);
  return {
    window: textOr(window, null),
    windowStart: seconds(window_start) ?? null,
    logPos: isNumber(log_pos) ? String(log_pos) : textOr(log_pos, null),
    barRevision: numberOr(bar_revision, null),
    tradeId: textOr(trade_id, null),
    bars: numberOr(bars, null),
    method: textOr(method, null),
    revision: numberOr(revision, 0),
    others,
  };
}

/** Reads an anomaly: a row of REST, or a frame. */
export function decodeAnomaly(wire: WireAnomaly | Fields): Anomaly | undefined {
  const fields = wire as Fields;
  const time = millis(fields['time']);
  const { id, symbol, anomaly_type, severity, state } = fields;
  if (typeof id !== 'string' || typeof symbol !== 'string' || typeof anomaly_type !== 'string' || time === undefined) return;
  return {
    id,
    time,
    symbol,
    type: anomaly_type,
    severity: SEVERITIES.find((each) => each === severity) ?? 'low',
    description: textOr(fields['description'], ''),
    value: numberOr(fields['current_value'], null),
    expected: numberOr(fields['expected_value'], null),
    threshold: numberOr(fields['threshold'], null),
    state: ANOMALY_STATES.find((each) => each === state) ?? 'active',
    evidence: decodeEvidence(fields['metadata']),
  };
}

function decodeTick(fields: Fields): Message | undefined {
  const { symbol, price, volume } = fields as Partial<WireTick>;
  const time = millis(fields['timestamp']);
  // Quotes have no last price: only trades move a row.
  if (textOr(fields['tick_type'], 'trade') !== 'trade') return;
  if (typeof symbol !== 'string' || !isNumber(price) || time === undefined) return;
  const feed = feedState(fields);
  return {
    kind: 'tick',
    symbol,
    price: price as Price,
    volume: numberOr(volume, 0),
    time,
    seq: numberOr(fields['seq'], null),
    ...(feed === undefined ? {} : { feed }),
  };
}

function feedState(fields: Fields): FeedState | undefined {
  const feed = fields['feed'];
  return typeof feed === 'string' && FEED_STATES.includes(feed) ? (feed as FeedState) : undefined;
}

/** Reads the kind and provider of a server's data: the same two fields in the first frame and in `health`. */
export function decodeOrigin(fields: Fields): Origin {
  return { data: textOr(fields['data'], LIVE.data), provider: textOr(fields['provider'], LIVE.provider) };
}

/** Reads what each symbol is from the details of a list of symbols. */
export function decodeAssetClasses(details: unknown): ReadonlyMap<string, string> {
  const classes = new Map<string, string>();
  for (const [symbol, fields] of Object.entries(isFields(details) ? details : {})) {
    const name = isFields(fields) ? fields['asset_class'] : undefined;
    if (typeof name === 'string') classes.set(symbol, name);
  }
  return classes;
}

/** Reads the progress of a made-up past; `null` when there is none, or it is complete. */
export function decodePast(value: unknown): Past | null {
  if (!isFields(value)) return null;
  const { done, total } = value;
  return isNumber(done) && isNumber(total) && done < total ? { done, total } : null;
}

function decodeCounts(value: unknown): LedgerCounts {
  const fields = isFields(value) ? value : {};
  return Object.fromEntries(LEDGER_FIELDS.map((name) => [name, numberOr(fields[name], 0)])) as Record<LedgerField, number>;
}

function decodeLedger(fields: Fields): LedgerMessage | undefined {
  const { symbol, ledger } = fields;
  if (typeof symbol !== 'string' || !isFields(ledger)) return;
  return { kind: 'ledger', symbol, feed: feedState(fields) ?? null, ledger: decodeCounts(ledger) };
}

/** The fields of an object that are numbers. */
function numbers(value: unknown): Record<string, number> {
  if (!isFields(value)) return {};
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, number] => isNumber(entry[1])));
}

function decodeSystem(fields: Fields): SystemMessage | undefined {
  const time = millis(fields['timestamp']);
  if (time === undefined) return;
  const { messages_per_second, bars_per_second } = fields;
  const feeds = numbers(fields['feeds']);
  const list = Array.isArray(fields['components']) ? (fields['components'] as unknown[]) : [];
  return {
    kind: 'system',
    time,
    values: { ...numbers({ messages_per_second, bars_per_second }), ...numbers(fields['latency']) },
    ledger: decodeCounts(fields['ledger']),
    deadLetters: numbers(fields['dead_letters']),
    feeds: { live: feeds['live'] ?? 0, quiet: feeds['quiet'] ?? 0, stale: feeds['stale'] ?? 0, dead: feeds['dead'] ?? 0 },
    components: list.filter(isFields).map(({ name, status, message }): Component => ({ name: textOr(name, '?'), status: textOr(status, '?'), message: textOr(message, '') })),
  };
}

/** Reads a list of `{time, symbol, field, value}`: the values of all symbols together, by their time. */
export function decodePoints(body: unknown): Point[] {
  const list = isFields(body) && Array.isArray(body['metrics']) ? (body['metrics'] as unknown[]) : [];
  const byTime = new Map<EpochMillis, Record<string, number>>();
  for (const row of list) {
    if (!isFields(row) || row['symbol'] !== '*') continue;
    const time = millis(row['time']);
    const { field, value } = row;
    if (time === undefined || typeof field !== 'string' || !isNumber(value)) continue;
    const values = byTime.get(time) ?? {};
    values[field] = value;
    byTime.set(time, values);
  }
  return [...byTime].map(([time, values]) => ({ time, values }));
}

function decodeSnapshot(fields: Fields): Message {
  const messages: Message[] = [];
  for (const [list, type] of Object.entries(SNAPSHOT_LISTS)) {
    const members = fields[list];
    if (!Array.isArray(members)) continue;
    for (const member of members as unknown[]) {
      const message = isFields(member) ? decodeFields({ type, ...member }) : undefined;
      if (message !== undefined) messages.push(message);
    }
  }
  return { kind: 'snapshot', epoch: textOr(fields['epoch'], null), messages };
}

function decodeFields(fields: Fields): Message | undefined {
  const epoch = textOr(fields['epoch'], null);
  switch (fields['type']) {
    case 'tick':
      return decodeTick(fields);
    case 'bar':
      return decodeBar(fields);
    case 'indicators': {
      const indicators = decodeIndicators(fields);
      const { symbol, window, seq } = fields;
      if (indicators === undefined || typeof symbol !== 'string' || typeof window !== 'string') return;
      return { kind: 'indicators', symbol, window, indicators, seq: numberOr(seq, null) };
    }
    case 'feed':
      return decodeLatest(fields);
    case 'anomaly': {
      const anomaly = decodeAnomaly(fields);
      return anomaly === undefined ? undefined : { kind: 'anomaly', anomaly };
    }
    case 'ledger':
      return decodeLedger(fields);
    case 'system':
      return decodeSystem(fields);
    case 'metrics':
      return {
        kind: 'metrics',
        time: millis(fields['timestamp']) ?? null,
        ticksPerSecond: numberOr(fields['ticks_per_second'], null),
        latencyP50: numberOr(fields['latency_p50_ms'], null),
        latencyP99: numberOr(fields['latency_p99_ms'], null),
        residue: numberOr(fields['residue'], null),
        past: decodePast(fields['past']),
      };
    case 'connection':
      return { kind: 'connection', epoch, time: millis(fields['timestamp']) ?? null, origin: decodeOrigin(fields) };
    case 'subscription': {
      const unknown = Array.isArray(fields['unknown']) ? (fields['unknown'] as unknown[]) : [];
      return { kind: 'subscription', epoch, unknown: unknown.filter((symbol) => typeof symbol === 'string') };
    }
    case 'snapshot':
      return decodeSnapshot(fields);
    case 'resync':
      return { kind: 'resync', epoch };
    case 'skipped':
      return {
        kind: 'skipped',
        channel: textOr(fields['channel'], ''),
        symbol: textOr(fields['symbol'], ''),
        count: numberOr(fields['count'], 0),
      };
    case 'error':
      return { kind: 'error', code: textOr(fields['code'], 'unknown'), detail: textOr(fields['detail'], '') };
    case 'pong':
      return { kind: 'pong', time: millis(fields['timestamp']) ?? null };
    default:
      return undefined;
  }
}

/** Decodes one message: a frame, or an array of frames. */
export function decodeFrame(text: string): Message[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  const messages: Message[] = [];
  for (const frame of Array.isArray(value) ? (value as unknown[]) : [value]) {
    const message = isFields(frame) ? decodeFields(frame) : undefined;
    if (message !== undefined) messages.push(message);
  }
  return messages;
}
