import { beforeEach, describe, expect, test, vi } from 'vitest';
import { Feed } from '../src/api/feed';
import { Rest } from '../src/api/rest';
import type { Socket } from '../src/api/socket';
import type { WireRequest } from '../src/api/wire';
import type { EpochSeconds } from '../src/helpers/nominal';
import { BARS_MAX, Store } from '../src/model/store';
import { bar, wireBar } from './support';

/** A server's memory of one symbol's bars, and REST over it. */
class History {
  readonly bars = new Map<number, Record<string, unknown>>();
  asked: string[] = [];
  broken = false;
  /** Holds answers back until the test lets them go. */
  gate: Promise<void> = Promise.resolve();

  put(minute: number, changes: Parameters<typeof wireBar>[1] = {}): Record<string, unknown> {
    const wire = wireBar(minute, changes);
    this.bars.set(minute, wire);
    return wire;
  }

  readonly fetch = (async (input: URL) => {
    this.asked.push(`${input.pathname}${input.search}`);
    if (this.broken) throw new TypeError('refused');
    if (input.pathname.includes('/aggregated/') && input.searchParams.get('window') !== '5min') {
      const cursor = Number(input.searchParams.get('cursor') ?? Infinity);
      const limit = Number(input.searchParams.get('limit'));
      const end = Date.parse(input.searchParams.get('end_time') ?? '9999-01-01T00:00:00Z') / 1000;
      const minutes = [...this.bars.keys()].filter((minute) => minute < cursor && wireStart(minute) < end).sort((a, b) => b - a);
      const page = minutes.slice(0, limit);
      const body = JSON.stringify(page.map((minute) => this.bars.get(minute)));
      await this.gate;
      const oldest = page.at(-1);
      const more = minutes.length > page.length && oldest !== undefined;
      return new Response(body, more ? { headers: { link: `<${input.pathname}?limit=${limit}&cursor=${oldest}>; rel="next"` } } : {});
    }
    return new Response('[]');
  }) as typeof fetch;
}

let history: History;
let store: Store;
let feed: Feed;
let sent: WireRequest[];

beforeEach(() => {
  history = new History();
  store = new Store();
  sent = [];
  feed = new Feed(store, new Rest(new URL('http://host/'), history.fetch), () => undefined);
  feed.attach({ send: (frame: WireRequest) => sent.push(frame), settle: () => undefined } as unknown as Socket);
  store.setServed(['AAPL'], []);
});

const wireStart = (minute: number): number => bar(minute).start;
const receive = (frame: Record<string, unknown>): void => {
  feed.received(JSON.stringify(frame));
};
const minutes = (): number[] => store.series.bars.map((bar) => bar.open - 100);
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);
const ready = (): Promise<void> => vi.waitFor(() => { expect(store.history).toBe('ready'); });

describe('the seam between history and live bars', () => {
  test('a bar that closes after the answer was made and before the subscription holds is not missing', async () => {
    for (const minute of range(0, 100)) history.put(minute);
    feed.select('AAPL', '1min');
    await ready();
    expect(minutes()).toEqual(range(0, 100));
    // These close unheard.
    for (const minute of [100, 101]) history.put(minute);
    feed.opened();
    receive(history.put(102, { state: 'forming' }));
    await vi.waitFor(() => { expect(minutes()).toEqual(range(0, 103)); });
  });

  test('live bars that come before history stay', async () => {
    for (const minute of range(0, 5)) history.put(minute);
    let open = (): void => undefined;
    history.gate = new Promise((resolve) => { open = resolve; });
    feed.select('AAPL', '1min');
    feed.opened();
    receive(wireBar(5));
    receive(wireBar(4, { state: 'amended', revision: 1, volume: 77 }));
    history.put(5);
    history.put(4, { state: 'amended', revision: 1, volume: 77 });
    open();
    await vi.waitFor(() => { expect(minutes()).toEqual(range(0, 6)); });
    expect(store.series.bars[4]?.volume).toBe(77);
  });

  test('live bars that come while history is out of reach are no proof of anything before them', async () => {
    vi.useFakeTimers();
    try {
      for (const minute of range(0, 700)) history.put(minute);
      history.broken = true;
      feed.select('AAPL', '1min');
      feed.opened();
      await vi.waitFor(() => { expect(store.history).toBe('failed'); });
      receive(wireBar(699));
      history.broken = false;
      await vi.advanceTimersByTimeAsync(2_000);
      expect(minutes()).toEqual(range(200, 700));
      await feed.loadOlder();
      expect(minutes()).toEqual(range(0, 700));
    } finally {
      vi.useRealTimers();
    }
  });

  test('an answer for the symbol left behind is not shown', async () => {
    history.put(0);
    let open = (): void => undefined;
    history.gate = new Promise((resolve) => { open = resolve; });
    feed.select('AAPL', '1min');
    feed.select('AAPL', '5min');
    await ready();
    open();
    feed.select('AAPL', '1min');
    await ready();
    expect(minutes()).toEqual([0]);
    feed.select('AAPL', '5min');
    await ready();
    expect(minutes()).toEqual([]);
  });
});

describe('going to a date', () => {
  const begin = async (count: number): Promise<void> => {
    for (const minute of range(0, count)) history.put(minute);
    feed.select('AAPL', '1min');
    await ready();
    history.asked = [];
  };
  const at = (minute: number): EpochSeconds => wireStart(minute) as EpochSeconds;
  const asked = (): string[] => history.asked.filter((path) => path.includes('/aggregated/'));

  test('bars are loaded back to it in few requests, without a hole, and scrolling goes on from there', async () => {
    await begin(8_000);
    expect(await feed.loadBackTo(at(2_000))).toBe('reached');
    const [first = NaN] = minutes();
    expect(first).toBeLessThanOrEqual(2_000);
    expect(minutes()).toEqual(range(first, 8_000));
    expect(asked()).toHaveLength(2);
    await feed.loadOlder();
    expect(minutes()).toEqual(range(first - 500, 8_000));
  });

  test('a date that is loaded asks for nothing', async () => {
    await begin(600);
    expect(await feed.loadBackTo(at(400))).toBe('reached');
    expect(asked()).toEqual([]);
  });

  test('before the first bar it ends at the start', async () => {
    await begin(1_200);
    expect(await feed.loadBackTo(at(-5_000))).toBe('start');
    expect(minutes()).toEqual(range(0, 1_200));
  });

  test('it stops where the chart is full', async () => {
    await begin(BARS_MAX + 6_000);
    expect(await feed.loadBackTo(at(0))).toBe('full');
    expect(store.series.length).toBe(BARS_MAX);
  });

  test('a fault ends it, and is reported', async () => {
    await begin(1_200);
    history.broken = true;
    expect(await feed.loadBackTo(at(0))).toBe('failed');
    history.broken = false;
    expect(await feed.loadBackTo(at(0))).toBe('reached');
  });

  test('another selection ends it', async () => {
    await begin(1_200);
    const going = feed.loadBackTo(at(0));
    feed.select('AAPL', '5min');
    await expect(going).rejects.toThrow();
    await ready();
    expect(minutes()).toEqual([]);
  });

  test('a page that scrolling has asked for comes first', async () => {
    await begin(2_000);
    const scrolling = feed.loadOlder();
    expect(await feed.loadBackTo(at(100))).toBe('reached');
    await scrolling;
    const [first = NaN] = minutes();
    expect(minutes()).toEqual(range(first, 2_000));
  });
});

describe('scrolling back', () => {
  test('pages join without a hole until there is nothing older', async () => {
    for (const minute of range(0, 1234)) history.put(minute);
    feed.select('AAPL', '1min');
    await ready();
    expect(minutes()).toEqual(range(734, 1234));
    await feed.loadOlder();
    await feed.loadOlder();
    expect(minutes()).toEqual(range(0, 1234));
    expect(store.reachedStart).toBe(true);
    const asked = history.asked.length;
    await feed.loadOlder();
    expect(history.asked).toHaveLength(asked);
  });

  test('the cursor survives the small request that closes the seam', async () => {
    for (const minute of range(0, 1100)) history.put(minute);
    feed.select('AAPL', '1min');
    await ready();
    feed.opened();
    receive(history.put(1100, { state: 'forming' }));
    await vi.waitFor(() => { expect(history.asked.filter((path) => path.includes('limit=20'))).toHaveLength(1); });
    await vi.waitFor(async () => {
      await feed.loadOlder();
      expect(minutes()).toEqual(range(0, 1101));
    });
  });
});

describe('after a loss', () => {
  test('what closed meanwhile is read back until it meets what is held', async () => {
    for (const minute of range(0, 600)) history.put(minute);
    feed.select('AAPL', '1min');
    feed.opened();
    await ready();
    feed.closed();
    for (const minute of range(600, 2000)) history.put(minute);
    feed.opened();
    receive(history.put(2000, { state: 'forming' }));
    await vi.waitFor(() => { expect(minutes()).toEqual(range(100, 2001)); });
  });

  test('a loss longer than it reads back leaves one run, and scrolling brings the rest', async () => {
    for (const minute of range(0, 10)) history.put(minute);
    feed.select('AAPL', '1min');
    feed.opened();
    await ready();
    feed.closed();
    for (const minute of range(10, 12_000)) history.put(minute);
    feed.opened();
    receive(history.put(12_000, { state: 'forming' }));
    await vi.waitFor(() => { expect(minutes()).toEqual(range(2001, 12_001)); });
    await feed.loadOlder();
    expect(minutes()).toEqual(range(1501, 12_001));
  });

  test('bars amended and voided unheard are seen after a resync', async () => {
    for (const minute of range(0, 50)) history.put(minute);
    feed.select('AAPL', '1min');
    feed.opened();
    await ready();
    history.put(40, { state: 'amended', revision: 1, volume: 99 });
    history.bars.delete(41);
    receive({ type: 'resync', epoch: 'a', topics: ['bars:AAPL:1min'] });
    await vi.waitFor(() => { expect(minutes()).toEqual(range(0, 50).filter((minute) => minute !== 41)); });
    expect(store.series.bars[40]?.revision).toBe(1);
  });

  test('bars that were skipped are asked for, ticks are not', async () => {
    history.put(0);
    feed.select('AAPL', '1min');
    await ready();
    const asked = history.asked.length;
    receive({ type: 'skipped', channel: 'ticks', symbol: 'AAPL', count: 3 });
    expect(history.asked).toHaveLength(asked);
    history.put(1);
    receive({ type: 'skipped', channel: 'bars', symbol: 'AAPL', count: 1 });
    await vi.waitFor(() => { expect(minutes()).toEqual([0, 1]); });
    expect(store.skipped).toBe(4);
  });

  test('another log starts the chart anew', async () => {
    for (const minute of range(0, 5)) history.put(minute);
    feed.select('AAPL', '1min');
    feed.opened();
    receive({ type: 'subscription', status: 'success', symbols: ['AAPL'], unknown: [], epoch: 'a' });
    await ready();
    history.bars.clear();
    for (const minute of range(20, 23)) history.put(minute);
    receive({ type: 'subscription', status: 'success', symbols: ['AAPL'], unknown: [], epoch: 'b' });
    await vi.waitFor(() => { expect(minutes()).toEqual([20, 21, 22]); });
  });

  test('the subscription resumes from what was heard', async () => {
    feed.select('AAPL', '1min');
    feed.opened();
    receive({ type: 'subscription', status: 'success', symbols: ['AAPL'], unknown: [], epoch: 'a' });
    receive({ ...wireBar(1), seq: 31 });
    receive({ type: 'tick', symbol: 'AAPL', price: 1, volume: 1, timestamp: '2026-11-23T13:00:00Z', seq: 900 });
    await ready();
    feed.closed();
    sent = [];
    feed.opened();
    expect(sent.find((frame) => frame.channels.includes('bars'))?.since).toEqual({ epoch: 'a', seqs: { 'bars:AAPL:1min': 31 } });
    // Of ticks only the newest counts, which the snapshot has.
    expect(sent.find((frame) => frame.channels.includes('ticks'))?.since).toBeUndefined();
  });

  test('history that is out of reach is tried again', async () => {
    vi.useFakeTimers();
    try {
      history.put(0);
      history.broken = true;
      feed.select('AAPL', '1min');
      await vi.waitFor(() => { expect(store.history).toBe('failed'); });
      history.broken = false;
      await vi.advanceTimersByTimeAsync(600);
      expect(store.history).toBe('ready');
      expect(minutes()).toEqual([0]);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('a page that stays open', () => {
  test('holds a bounded number of bars; the oldest go, and scrolling back brings them again', async () => {
    for (const minute of range(0, 600)) history.put(minute);
    feed.select('AAPL', '1min');
    feed.opened();
    await ready();
    receive(wireBar(600));
    // The seam is closed when the indicators of its page are asked for as well.
    await vi.waitFor(() => { expect(history.asked.filter((path) => path.includes('/indicators/'))).toHaveLength(2); });
    for (const minute of range(601, BARS_MAX + 2000)) receive({ ...wireBar(minute), seq: minute });
    expect(store.series.length).toBeGreaterThanOrEqual(BARS_MAX);
    expect(store.series.length).toBeLessThanOrEqual(BARS_MAX + 1000);
    expect(store.reachedStart).toBe(false);
    const oldest = store.series.oldest?.start ?? 0;
    expect(oldest).toBeGreaterThan(wireStart(0));

    // With room again, the page asked for is the one that ends where the oldest bar begins.
    store.dropBarsBefore((oldest + 1000 * 60) as EpochSeconds);
    history.asked = [];
    const wanted = `end_time=${new Date(oldest * 1000).toISOString()}`;
    await vi.waitFor(async () => {
      await feed.loadOlder();
      expect(history.asked.filter((path) => path.includes('/aggregated/')).map(decodeURIComponent).join(' ')).toContain(wanted);
    });
  });

  test('loads no bars beyond the limit', async () => {
    for (const minute of range(0, 600)) history.put(minute);
    feed.select('AAPL', '1min');
    await ready();
    for (const minute of range(601, BARS_MAX + 200)) receive({ ...wireBar(minute), seq: minute });
    history.asked = [];
    await feed.loadOlder();
    expect(history.asked).toEqual([]);
  });
});

describe('subscriptions', () => {
  test('before the server has named its symbols only the one that is shown is asked for', () => {
    const fresh = new Feed(new Store(), new Rest(new URL('http://host/'), history.fetch), () => undefined);
    fresh.attach({ send: (frame: WireRequest) => sent.push(frame), settle: () => undefined } as unknown as Socket);
    fresh.select('AAPL', '1min');
    fresh.opened();
    // Its row is there with its first tick.
    fresh.received(JSON.stringify({ type: 'tick', symbol: 'AAPL', price: 1, volume: 1, timestamp: '2026-11-23T13:00:00Z', seq: 1 }));
    fresh.watch(['AAPL'], 'symbol');
    expect(sent.filter(({ channels }) => channels.includes('ticks')).flatMap(({ symbols }) => symbols)).toEqual(['AAPL']);
  });

  test('few symbols: all ticks; many: those on the screen', async () => {
    feed.select('AAPL', '1min');
    feed.opened();
    expect(sent.find((frame) => frame.channels.includes('ticks'))?.symbols).toEqual(['*']);
    const many = range(0, 1000).map((index) => `S${index}`);
    store.setSymbols(many);
    sent = [];
    feed.watch(many.slice(0, 20), 'symbol');
    expect(sent).toEqual([
      { type: 'unsubscribe', symbols: ['*'], channels: ['ticks'] },
      { type: 'subscribe', symbols: [...many.slice(0, 20), 'AAPL'].sort(), channels: ['ticks'], interval_ms: 200 },
    ]);
    await ready();
  });

  test('many symbols in the order of their prices: the ticks of all, more slowly', async () => {
    feed.select('AAPL', '5min');
    feed.opened();
    const many = range(0, 1000).map((index) => `S${index}`);
    store.setServed(many, ['1min', '5min']);
    feed.watch(many.slice(0, 20), 'symbol');
    for (const column of ['change', 'last'] as const) {
      sent = [];
      feed.watch(many.slice(0, 20), column);
      expect(sent[0]).toEqual({ type: 'subscribe', symbols: ['*'], channels: ['ticks'], interval_ms: 1000 });
      sent = [];
      feed.watch(many.slice(0, 20), 'symbol');
      expect(sent[1]?.interval_ms).toBe(200);
    }
    await ready();
  });

  test('the hour of each row in view is loaded once and followed; of all rows where the volume decides', async () => {
    const hoursAsked = (): string[] => history.asked.filter((path) => path.includes('window=1min')).map((path) => path.split('/')[4]?.split('?')[0] ?? '');
    const many = range(0, 100).map((index) => `S${index}`);
    store.setServed(many, ['1min', '5min']);
    feed.select('S50', '5min');
    feed.opened();
    await ready();
    feed.watch(['S0', 'S1'], 'symbol');
    await vi.waitFor(() => { expect(hoursAsked()).toEqual(['S0', 'S1']); });
    expect(sent).toContainEqual({ type: 'subscribe', symbols: ['S0', 'S1'], channels: ['bars'], windows: ['1min'], forming: false });
    feed.watch(['S1', 'S2'], 'symbol');
    await vi.waitFor(() => { expect(hoursAsked()).toEqual(['S0', 'S1', 'S2']); });
    // S0 was not heard meanwhile.
    feed.watch(['S0', 'S1'], 'symbol');
    await vi.waitFor(() => { expect(hoursAsked()).toEqual(['S0', 'S1', 'S2', 'S0']); });
    history.asked = [];
    feed.watch(['S0', 'S1'], 'volume');
    await vi.waitFor(() => { expect(new Set(hoursAsked())).toEqual(new Set(many.slice(2))); });
    expect(hoursAsked()).toHaveLength(98);
    expect(sent.at(-1)).toMatchObject({ type: 'unsubscribe' });
    expect(sent).toContainEqual({ type: 'subscribe', symbols: ['*'], channels: ['bars'], windows: ['1min'], forming: false });
  });

  test('a server without windows of a minute is not asked for them', async () => {
    store.setServed(['AAPL'], ['5min']);
    feed.select('AAPL', '5min');
    feed.opened();
    feed.watch(['AAPL'], 'symbol');
    await ready();
    expect(history.asked.some((path) => path.includes('window=1min'))).toBe(false);
    expect(sent.some((frame) => frame.windows?.includes('1min'))).toBe(false);
  });
});

describe('a past that is made up behind live bars', () => {
  test('is loaded as it comes, though the chart had its beginning already', async () => {
    for (const minute of range(1990, 2000)) history.put(minute);
    feed.select('AAPL', '1min');
    await ready();
    expect([minutes(), store.reachedStart]).toEqual([range(1990, 2000), true]);
    for (const minute of range(1000, 1990)) history.put(minute);
    receive({ type: 'metrics', past: { done: 1, total: 2 } });
    await vi.waitFor(() => { expect(minutes()).toEqual(range(1500, 2000)); });
    expect(store.reachedStart).toBe(false);
    await feed.loadOlder();
    expect(minutes()).toEqual(range(1000, 2000));
    // It reaches its beginning once more, and the rest comes at the end.
    expect(store.reachedStart).toBe(true);
    for (const minute of range(900, 1000)) history.put(minute);
    receive({ type: 'metrics' });
    await vi.waitFor(() => { expect(store.reachedStart).toBe(false); });
    while (!store.reachedStart) await feed.loadOlder();
    expect(minutes()).toEqual(range(900, 2000));
  });

  test('is looked for once more when all of it is in the history', async () => {
    vi.useFakeTimers();
    try {
      history.put(1999);
      feed.select('AAPL', '1min');
      await ready();
      receive({ type: 'metrics', past: { done: 1, total: 2 } });
      receive({ type: 'metrics' });
      await vi.advanceTimersByTimeAsync(1_000);
      for (const minute of range(1900, 1999)) history.put(minute);
      await vi.advanceTimersByTimeAsync(5_000);
      expect(minutes()).toEqual(range(1900, 2000));
      const asked = history.asked.length;
      receive({ type: 'metrics' });
      await vi.advanceTimersByTimeAsync(60_000);
      expect(history.asked.length).toBe(asked);
    } finally {
      vi.useRealTimers();
    }
  });

  test('costs nothing where the beginning was not reached', async () => {
    for (const minute of range(0, 700)) history.put(minute);
    feed.select('AAPL', '1min');
    await ready();
    const asked = history.asked.length;
    receive({ type: 'metrics', past: { done: 1, total: 2 } });
    receive({ type: 'metrics', past: { done: 1, total: 2 } });
    expect(store.past).toEqual({ done: 1, total: 2 });
    expect(history.asked.length).toBe(asked);
  });
});

test('the server’s time is told, from every frame that carries it', () => {
  const heard: number[] = [];
  const told = new Feed(store, new Rest(new URL('http://host/'), history.fetch), () => undefined, (time) => heard.push(time));
  for (const type of ['connection', 'metrics', 'pong', 'tick']) told.received(JSON.stringify({ type, symbol: 'AAPL', price: 1, timestamp: '2026-11-23T13:00:01Z' }));
  told.received('{"type":"pong"}');
  expect(heard).toEqual([1_795_438_801_000, 1_795_438_801_000, 1_795_438_801_000]);
});
