import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AlertFeed } from '../src/api/alert-feed';
import { decodeDecision, decodeIncident, decodeSilence } from '../src/api/decode-alerts';
import { Rest, RestError } from '../src/api/rest';
import type { EpochMillis } from '../src/helpers/nominal';
import { adviceOf, type Decision, decisionText, leftText, namesIn, NO_FILTER, openText, reasonText, scopeText, toldText } from '../src/model/alerts';
import { Store } from '../src/model/store';

const INCIDENT = {
  id: 'BTC-USD/price_spike_up/1min/1693933260000000000',
  time: '2023-09-05T17:01:00Z',
  symbol: 'BTC-USD',
  anomaly_type: 'price_spike',
  severity: 'high',
  state: 'open',
  changed: '2023-09-05T17:01:05.25Z',
  description: '12.5 % above the mean of 20 bars',
  current_value: 28_928.25,
  expected_value: 25_714,
  threshold: 5,
  told: 'email slack',
  held: null,
  acknowledged_by: null,
};
const SILENCE = { id: 's-1', start: '2023-09-05T17:00:00Z', end: '2023-09-05T19:00:00Z', symbols: ['BTC-*'], types: [], max_severity: 'high', comment: 'earnings', created_by: 'ann', created: '2023-09-05T17:00:00Z' };

describe('rows of REST', () => {
  test('are read as the server writes them', () => {
    expect(decodeIncident(INCIDENT)).toEqual({
      id: INCIDENT.id,
      time: Date.parse(INCIDENT.time),
      symbol: 'BTC-USD',
      type: 'price_spike',
      severity: 'high',
      state: 'open',
      changed: Date.parse(INCIDENT.changed),
      description: INCIDENT.description,
      value: 28_928.25,
      expected: 25_714,
      threshold: 5,
      told: ['email', 'slack'],
      held: null,
      acknowledgedBy: null,
    });
    expect(decodeSilence(SILENCE)).toMatchObject({ symbols: ['BTC-*'], types: [], maxSeverity: 'high', by: 'ann' });
    expect(decodeDecision({ id: 'd', time: INCIDENT.time, channel: 'slack', status: 'held', reason: 'cooldown', attempts: 0 })).toMatchObject({ channel: 'slack', status: 'held' });
  });

  test.each([{}, { ...INCIDENT, state: 'later' }, { ...INCIDENT, time: 'soon' }, { ...INCIDENT, id: 7 }])('what is malformed or newer than the page is left out: %j', (row) => {
    expect(decodeIncident(row)).toBeUndefined();
    expect(decodeDecision(row)).toBeUndefined();
    expect(decodeSilence(row)).toBeUndefined();
  });
});

describe('words', () => {
  const decision = (changes: Partial<Decision>): string => decisionText({ id: 'd', time: 0 as EpochMillis, channel: 'slack', status: 'sent', reason: '', attempts: 1, ...changes });

  test('every decision says what became of it, and why', () => {
    expect([
      decision({}),
      decision({ attempts: 3 }),
      decision({ status: 'held', reason: 'cooldown', attempts: 0 }),
      decision({ status: 'held', reason: 'silenced: by ann, until 19:00', attempts: 0 }),
      decision({ status: 'retrying', reason: 'queued', attempts: 0 }),
      decision({ status: 'retrying', reason: 'HTTP 500', attempts: 1 }),
      decision({ status: 'failed', reason: 'HTTP 404', attempts: 5 }),
      decision({ status: 'sent', reason: 'in place of slack' }),
    ]).toEqual([
      'sent',
      'sent after 3 attempts',
      'held back: one of this symbol and type was sent shortly before',
      'held back: by ann, until 19:00',
      'waits to be sent',
      'tried once, will be tried again: HTTP 500',
      'failed after 5 attempts: HTTP 404',
      'sent: in place of slack',
    ]);
  });

  test('reasons that are not known are shown as they are', () => {
    expect([reasonText('connection refused'), reasonText(''), reasonText('feed_down')]).toEqual(['connection refused', '', 'the feed of its symbol was down']);
  });

  test('who was told, how many are open, what a silence is about and how long it counts', () => {
    expect([toldText({ told: ['slack', 'email'], held: null, state: 'open' }), toldText({ told: [], held: null, state: 'open' }), toldText({ told: [], held: null, state: 'expired' }), toldText({ told: [], held: 'no_route', state: 'open' })]).toEqual([
      'told: slack, email', 'about to be told', 'nobody was told', 'held back: no route leads to a channel',
    ]);
    expect([0, 3, 99, 100].map((numOpen) => openText({ numOpen, hasMoreOpen: false }))).toEqual(['', '3', '99', '99+']);
    expect(openText({ numOpen: 2, hasMoreOpen: true })).toBe('99+');
    expect(scopeText({ symbols: [], types: [], maxSeverity: 'critical' })).toBe('all symbols · all types');
    expect(scopeText({ symbols: ['A', 'B-*'], types: ['price_spike'], maxSeverity: 'high' })).toBe('A, B-* · price_spike · up to high');
    const [start, end] = [0, 3_600_000] as [EpochMillis, EpochMillis];
    expect([-60_000, -900, 60_000, 3_600_000].map((now) => leftText({ start, end }, now as EpochMillis))).toEqual(['begins in 1 min', '1 h left', '59 min left', 'over']);
    expect(namesIn(' AAPL, BTC-*;AAPL\n ')).toEqual(['AAPL', 'BTC-*']);
  });

  test('every fault says what to do next', () => {
    for (const status of [0, 401, 403, 429, 500, 503]) expect(adviceOf(status, 'why'), String(status)).toMatch(/asks again|Open the page/);
    expect(adviceOf(422, '`end` is over')).toBe('The server refuses: `end` is over.');
  });
});

describe('keeping up', () => {
  let store: Store;
  let feed: AlertFeed;
  let asked: { readonly method: string; readonly path: string; readonly body: unknown }[];
  let answer: (path: string, method: string) => Response | Promise<Response>;
  let isHidden: boolean;
  const json = (body: unknown, headers: Record<string, string> = {}): Response => new Response(JSON.stringify(body), { headers });
  const lists = (): string[] => asked.filter(({ path }) => path.includes('/alerts')).map(({ path }) => path);

  beforeEach(() => {
    vi.useFakeTimers();
    store = new Store();
    asked = [];
    isHidden = false;
    answer = (path) => json(path.includes('state=no_data') || path.includes('silences') ? [] : [INCIDENT]);
    const request = (async (input: URL, { method = 'GET', body }: RequestInit) => {
      asked.push({ method, path: `${input.pathname}${input.search}`, body: typeof body === 'string' ? JSON.parse(body) : undefined });
      return answer(`${input.pathname}${input.search}`, method);
    }) as typeof fetch;
    feed = new AlertFeed(store, new Rest(new URL('http://host/'), request), () => isHidden);
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  test('open ones are counted, every so often, and soon after an anomaly', async () => {
    feed.start();
    await vi.advanceTimersByTimeAsync(1_000);
    expect([store.alerts.phase, store.alerts.numOpen, lists().length]).toEqual(['ready', 1, 2]);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(lists()).toHaveLength(2);
    // A storm of anomalies is one refresh.
    for (let count = 0; count < 1_000; count += 1) feed.hint();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(lists()).toHaveLength(4);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(lists()).toHaveLength(6);
    isHidden = true;
    await vi.advanceTimersByTimeAsync(15_000);
    expect(lists()).toHaveLength(8);
    await vi.advanceTimersByTimeAsync(59_000);
    expect(lists()).toHaveLength(8);
  });

  test('more than can be counted is said to be more', async () => {
    answer = (path) => json([INCIDENT], path.includes('state=open') ? { link: '</api/v1/alerts/incidents?cursor=1>; rel="next"' } : {});
    feed.start();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(openText(store.alerts)).toBe('99+');
  });

  test('a server without alerts is not asked again, until the view is opened', async () => {
    answer = () => new Response('{"code":"not_found","detail":"nothing is there"}', { status: 404 });
    feed.start();
    await vi.advanceTimersByTimeAsync(1_000);
    feed.hint();
    feed.wake();
    await vi.advanceTimersByTimeAsync(120_000);
    expect([store.alerts.phase, lists().length]).toEqual(['missing', 2]);
    answer = () => json([]);
    feed.follow(true);
    await vi.advanceTimersByTimeAsync(0);
    expect(store.alerts.phase).toBe('ready');
  });

  test('a fault is said, what was known stays, and it is asked again', async () => {
    feed.follow(true);
    await vi.advanceTimersByTimeAsync(0);
    expect(store.alerts.incidents).toHaveLength(1);
    answer = () => new Response('{"code":"unavailable","detail":"the history is away"}', { status: 503 });
    await vi.advanceTimersByTimeAsync(5_000);
    expect([store.alerts.phase, store.alerts.incidents.length]).toEqual(['failed', 1]);
    expect(store.alerts.fault).toContain('the history is away');
    answer = () => json([]);
    await vi.advanceTimersByTimeAsync(5_000);
    expect([store.alerts.phase, store.alerts.fault]).toEqual(['ready', '']);
  });

  test('what the reader acknowledges is shown at once, and an older answer does not undo it', async () => {
    feed.follow(true);
    await vi.advanceTimersByTimeAsync(0);
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => { open = resolve; });
    answer = async (path, method) => {
      if (method === 'POST') return json({ acknowledged: [INCIDENT.id], closed: [], unknown: [] });
      await gate;
      return json(path.includes('silences') ? [] : [INCIDENT]);
    };
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await feed.acknowledge(INCIDENT.id, 'ann')).toBe('');
    expect(asked.at(-1)).toMatchObject({ method: 'POST', path: '/api/v1/alerts/incidents/acknowledge', body: { ids: [INCIDENT.id], by: 'ann' } });
    open();
    await vi.advanceTimersByTimeAsync(0);
    expect(store.alerts.incidents[0]).toMatchObject({ state: 'acknowledged', acknowledgedBy: 'ann' });
    // The next one tells what the server made of it.
    await vi.advanceTimersByTimeAsync(2_000);
    expect(store.alerts.incidents[0]?.state).toBe('open');
  });

  test('what is closed, unknown or refused is said', async () => {
    answer = () => json({ acknowledged: [], closed: ['a'], unknown: ['b'] });
    expect(await feed.acknowledge('a', '')).toMatch(/closed/);
    expect(await feed.acknowledge('b', '')).toMatch(/does not know/);
    answer = () => new Response('{"code":"origin_not_allowed","detail":"no"}', { status: 403 });
    await expect(feed.acknowledge('a', '')).rejects.toBeInstanceOf(RestError);
  });

  test('filters ask anew, pages add up, and both stay while the list is refreshed', async () => {
    const row = (id: string): Record<string, unknown> => ({ ...INCIDENT, id });
    const next = { link: '</api/v1/alerts/incidents?cursor=1>; rel="next"' };
    answer = (path) => (path.includes('silences') || path.includes('limit=100') ? json([]) : path.includes('cursor=1') ? json([row('b'), row('c')]) : json([row('a'), row('b')], next));
    feed.follow(true);
    feed.filter({ ...NO_FILTER, state: 'resolved', symbol: 'BTC-USD' });
    await vi.advanceTimersByTimeAsync(0);
    expect(lists().some((path) => path.includes('state=resolved&symbol=BTC-USD&limit=50'))).toBe(true);
    await feed.more();
    expect([store.alerts.incidents.map(({ id }) => id), store.alerts.next]).toEqual([['a', 'b', 'c'], null]);
  });

  test('a silence is made with its end, listed, and ended', async () => {
    answer = (_, method) => (method === 'GET' ? json([]) : json(SILENCE));
    await feed.silence({ symbols: ['BTC-*'], types: [], maxSeverity: 'high', end: Date.parse(SILENCE.end) as EpochMillis, comment: 'earnings' }, 'ann');
    expect(asked.at(-1)?.body).toEqual({ symbols: ['BTC-*'], max_severity: 'high', end: '2023-09-05T19:00:00.000Z', comment: 'earnings', by: 'ann' });
    expect(store.alerts.silences.map(({ id }) => id)).toEqual(['s-1']);
    await feed.endSilence('s-1');
    expect([asked.at(-1)?.method, asked.at(-1)?.path, store.alerts.silences]).toEqual(['DELETE', '/api/v1/alerts/silences/s-1', []]);
  });
});
