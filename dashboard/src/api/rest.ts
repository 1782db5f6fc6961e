/**
 * The REST client: history, the list of symbols, the newest prices. Errors carry the server's stable `code`; whoever
 * asks decides whether to try again. Addresses are relative to the page, so a proxy may serve it under any prefix.
 */

import type { EpochMillis, EpochSeconds } from '../helpers/nominal';
import { toRfc3339 } from '../helpers/time';
import type { Decision, Incident, IncidentFilter, IncidentPage, NewSilence, Silence } from '../model/alerts';
import type { Anomaly } from '../model/anomalies';
import type { Bar } from '../model/bar';
import type { Indicators } from '../model/indicators';
import type { Latest } from '../model/message';
import type { Origin, Past } from '../model/origin';
import type { Point } from '../model/system';
import { decodeDecision, decodeIncident, decodeNames, decodeSilence } from './decode-alerts';
import { decodeAnomaly, decodeBar, decodeIndicators, decodeLatest, decodeOrigin, decodePast, decodePoints } from './decode';
import type { WireAcknowledged, WireAnomaly, WireBar, WireDeadLetter, WireHealth, WireIndicators, WireLatest, WireProblem, WireSymbols } from './wire';

/** A page of history, newest first as the server gives it. */
export interface Page {
  readonly bars: readonly Bar[];
  /** Address of the page before it in time; `null` at the beginning of history. */
  readonly next: string | null;
}

/** A page of anomalies, newest first. */
export interface AnomalyPage {
  readonly anomalies: readonly Anomaly[];
  /** Address of the page before it in time; `null` where there is none. */
  readonly next: string | null;
}

/** The server's refusal, or no answer at all (`status` 0). */
export class RestError extends Error {
  override readonly name = 'RestError';

  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
  ) {
    super(detail);
  }

  /** True when the same request may succeed later. */
  get transient(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** Address of `rel="next"` in a `Link` header. */
export function nextLink(header: string | null): string | null {
  for (const part of header?.split(/,(?=\s*<)/) ?? []) {
    const match = /^\s*<([^>]*)>(.*)$/.exec(part);
    if (match?.[1] !== undefined && /;\s*rel="?next"?(\s*;|\s*$)/.test(match[2] ?? '')) return match[1];
  }
  return null;
}

/** The rows of an answer that can be read. */
function decodeList<T>(body: unknown, decode: (row: Record<string, unknown>) => T | undefined): T[] {
  const rows = Array.isArray(body) ? (body as unknown[]) : [];
  return rows.map((row) => (typeof row === 'object' && row !== null ? decode(row as Record<string, unknown>) : undefined)).filter((row) => row !== undefined);
}

/** Address of the page after the one at `address`. */
function nextPage(headers: Headers, address: URL): string | null {
  const next = nextLink(headers.get('link'));
  // A server behind a proxy may not know its public address: only path and query of the cursor are used.
  return next === null ? null : `${address.pathname}${new URL(next, address).search}`;
}

/** How long an answer may take before the line counts as broken. */
const TIMEOUT_MS = 15_000;

export class Rest {
  /**
   * @param base address of the page
   * @param request the browser's `fetch`, or a test's
   */
  constructor(
    private readonly base: URL,
    private readonly request: typeof fetch,
  ) {}

  async symbols(signal?: AbortSignal): Promise<WireSymbols> {
    const [body] = await this.#get('api/v1/symbols', {}, signal);
    const wire = (body ?? {}) as Partial<WireSymbols>;
    return {
      symbols: Array.isArray(wire.symbols) ? wire.symbols : [],
      ...(wire.details === undefined ? {} : { details: wire.details }),
      ...(Array.isArray(wire.windows) ? { windows: wire.windows } : {}),
    };
  }

  /** Where the data come from, and how far the made-up past is. */
  async health(signal?: AbortSignal): Promise<{ readonly origin: Origin; readonly past: Past | null }> {
    const [body] = await this.#get('health', {}, signal);
    const wire = (body ?? {}) as WireHealth;
    return { origin: decodeOrigin({ ...wire }), past: decodePast(wire.details?.past) };
  }

  /** Rates and latencies of the last minutes. */
  async systemPast(minutes: number, signal?: AbortSignal): Promise<Point[]> {
    const query = { time_range: `-${minutes}min` };
    const answers = await Promise.all(['latency', 'throughput'].map((name) => this.#get(`api/v1/metrics/${name}`, query, signal)));
    const byTime = new Map<Point['time'], Point>();
    for (const { time, values } of answers.flatMap(([body]) => decodePoints(body))) byTime.set(time, { time, values: { ...byTime.get(time)?.values, ...values } });
    return [...byTime.values()];
  }

  /** The newest of what was set aside. */
  async deadLetters(limit: number, signal?: AbortSignal): Promise<WireDeadLetter[]> {
    const [body] = await this.#get('api/v1/dead-letters', { limit: String(limit), empty: 'ok' }, signal);
    return Array.isArray(body) ? (body as WireDeadLetter[]) : [];
  }

  async latest(symbols: readonly string[], signal?: AbortSignal): Promise<Latest[]> {
    const [body] = await this.#get('api/v1/latest', { symbols: symbols.join(','), empty: 'ok' }, signal);
    const list = Array.isArray(body) ? (body as WireLatest[]) : [body as WireLatest];
    return list.map(decodeLatest).filter((latest) => latest !== undefined);
  }

  /** The newest page of bars, with the forming one. */
  async bars(symbol: string, window: string, limit: number, signal?: AbortSignal): Promise<Page> {
    const query = { window, limit: String(limit), include_forming: 'true', empty: 'ok' };
    return this.#page(...(await this.#get(`api/v1/aggregated/${encodeURIComponent(symbol)}`, query, signal)));
  }

  /** Address of the page that ends where a bar begins, for when there is no cursor to it. */
  before(symbol: string, window: string, start: EpochSeconds, limit: number): string {
    const query = new URLSearchParams({ window, limit: String(limit), end_time: toRfc3339(start), empty: 'ok' });
    return new URL(`api/v1/aggregated/${encodeURIComponent(symbol)}?${query.toString()}`, this.base).toString();
  }

  /** The page before another in time. */
  async older(next: string, signal?: AbortSignal): Promise<Page> {
    return this.#page(...(await this.#get(next, {}, signal)));
  }

  /** The series of indicators of at most `limit` bars with `from` < end ≤ `to`. */
  async indicators(
    symbol: string,
    window: string,
    from: EpochSeconds,
    to: EpochSeconds,
    limit: number,
    signal?: AbortSignal,
  ): Promise<Indicators[]> {
    const query = { window, start_time: toRfc3339(from), end_time: toRfc3339(to), limit: String(limit), empty: 'ok' };
    const [body] = await this.#get(`api/v1/indicators/${encodeURIComponent(symbol)}`, query, signal);
    const list = Array.isArray(body) ? (body as WireIndicators[]) : [body as WireIndicators];
    return list.map(decodeIndicators).filter((indicators) => indicators !== undefined);
  }

  /** Anomalies of a symbol from one time to another. */
  async anomalies(symbol: string, from: EpochSeconds, to: EpochSeconds | null, limit: number, signal?: AbortSignal): Promise<AnomalyPage> {
    const query = { symbol, start_time: toRfc3339(from), ...(to === null ? {} : { end_time: toRfc3339(to) }), limit: String(limit), empty: 'ok' };
    return this.#anomalies(...(await this.#get('api/v1/anomalies', query, signal)));
  }

  /** The page of anomalies before another in time. */
  async olderAnomalies(next: string, signal?: AbortSignal): Promise<AnomalyPage> {
    return this.#anomalies(...(await this.#get(next, {}, signal)));
  }

  #anomalies(body: unknown, headers: Headers, address: URL): AnomalyPage {
    const list = Array.isArray(body) ? (body as WireAnomaly[]) : [];
    return { anomalies: list.map(decodeAnomaly).filter((anomaly) => anomaly !== undefined), next: list.length === 0 ? null : nextPage(headers, address) };
  }

  /** Incidents that a filter lets through, newest first. */
  async incidents(filter: IncidentFilter, limit: number): Promise<IncidentPage> {
    const fields = Object.entries(filter) as [string, string][];
    const query = { ...Object.fromEntries(fields.filter(([, text]) => text !== '')), limit: String(limit), empty: 'ok' };
    return this.#incidents(...(await this.#get('api/v1/alerts/incidents', query)));
  }

  /** The page of incidents before another in time. */
  async olderIncidents(next: string): Promise<IncidentPage> {
    return this.#incidents(...(await this.#get(next, {})));
  }

  #incidents(body: unknown, headers: Headers, address: URL): IncidentPage {
    const incidents = decodeList(body, decodeIncident) satisfies Incident[];
    return { incidents, next: incidents.length === 0 ? null : nextPage(headers, address) };
  }

  /** What was decided about an incident, newest first. */
  async decisions(id: string): Promise<Decision[]> {
    const [body] = await this.#get('api/v1/alerts', { anomaly_id: id, limit: '100', empty: 'ok' });
    return decodeList(body, decodeDecision);
  }

  /** Says that somebody sees to incidents. */
  async acknowledge(ids: readonly string[], by: string): Promise<WireAcknowledged> {
    const [body] = await this.#send('POST', 'api/v1/alerts/incidents/acknowledge', { ids, ...(by === '' ? {} : { by }) });
    const fields = (body ?? {}) as Partial<WireAcknowledged>;
    return { acknowledged: decodeNames(fields.acknowledged), closed: decodeNames(fields.closed), unknown: decodeNames(fields.unknown) };
  }

  /** Silences that are not over. */
  async silences(): Promise<Silence[]> {
    const [body] = await this.#get('api/v1/alerts/silences', {});
    return decodeList(body, decodeSilence);
  }

  async silence({ symbols, types, maxSeverity, end, comment }: NewSilence, by: string): Promise<Silence> {
    const time = new Date(end).toISOString();
    const wire = { ...(symbols.length === 0 ? {} : { symbols }), ...(types.length === 0 ? {} : { types }), max_severity: maxSeverity, end: time, ...(comment === '' ? {} : { comment }), ...(by === '' ? {} : { by }) };
    const [body] = await this.#send('POST', 'api/v1/alerts/silences', wire);
    return decodeSilence(body ?? {}) ?? { id: '', start: 0 as EpochMillis, symbols, types, maxSeverity, end, comment, by };
  }

  async endSilence(id: string): Promise<void> {
    await this.#send('DELETE', `api/v1/alerts/silences/${encodeURIComponent(id)}`);
  }

  #page(body: unknown, headers: Headers, address: URL): Page {
    const list = Array.isArray(body) ? (body as WireBar[]) : [];
    return {
      bars: list.map((wire) => decodeBar(wire)?.bar).filter((bar) => bar !== undefined),
      next: list.length === 0 ? null : nextPage(headers, address),
    };
  }

  async #get(
    path: string,
    query: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<[body: unknown, headers: Headers, address: URL]> {
    const address = new URL(path, this.base);
    for (const [name, value] of Object.entries(query)) address.searchParams.set(name, value);
    return this.#ask(address, { headers: { accept: 'application/json' } }, signal);
  }

  /** Has the server change something. */
  async #send(method: string, path: string, content?: unknown): Promise<[body: unknown, headers: Headers, address: URL]> {
    const headers = { accept: 'application/json', ...(content === undefined ? {} : { 'content-type': 'application/json' }) };
    return this.#ask(new URL(path, this.base), { method, headers, ...(content === undefined ? {} : { body: JSON.stringify(content) }) });
  }

  async #ask(address: URL, request: RequestInit, signal?: AbortSignal): Promise<[body: unknown, headers: Headers, address: URL]> {
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    let response: Response;
    try {
      response = await this.request(address, {
        ...request,
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      });
    } catch (error) {
      if (signal?.aborted === true) throw error;
      throw new RestError(0, 'unreachable', 'no answer from the server');
    }
    const body: unknown = await response.json().catch(() => null);
    if (response.ok) return [body, response.headers, address];
    const problem = (body ?? {}) as WireProblem;
    throw new RestError(response.status, problem.code ?? 'http', problem.detail ?? `status ${response.status}`);
  }
}
