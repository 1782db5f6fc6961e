/**
 * Decodes JSON of the server to values of the model.
 *
 * Promises: never throws. What is malformed or unknown becomes `undefined` and is left out, so that a bad frame, or a kind of
 * frame that is newer than the page, affects nothing else. `tests/fixtures/wire` has a sample of each, made by the server.
 */

import type { EpochMillis, EpochSeconds, Price } from '../helpers/nominal';
import { parseTime, toSeconds } from '../helpers/time';
import type { Bar, BarState } from '../model/bar';
import { INDICATOR_NAMES, type IndicatorName, type Indicators } from '../model/indicators';
import type { BarMessage, FeedState, Latest, Message } from '../model/message';
import { LIVE, type Origin, type Past } from '../model/origin';
import type { WireBar, WireIndicators, WireLatest, WireTick } from './wire';

type Fields = Readonly<Record<string, unknown>>;

const BAR_STATES: readonly string[] = ['forming', 'closed', 'amended', 'void'] satisfies BarState[];
const FEED_STATES: readonly string[] = ['live', 'quiet', 'stale', 'dead'] satisfies FeedState[];
/** Lists that a snapshot may hold, and the frame type of their members. */
const SNAPSHOT_LISTS: Readonly<Record<string, string>> = { ticks: 'tick', bars: 'bar', indicators: 'indicators' };

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
