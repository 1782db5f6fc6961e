import { beforeEach, describe, expect, test, vi } from 'vitest';
import { Feed } from '../src/api/feed';
import { Rest } from '../src/api/rest';
import type { Socket } from '../src/api/socket';
import type { WireRequest } from '../src/api/wire';
import type { EpochMillis, EpochSeconds } from '../src/helpers/nominal';
import { UTC } from '../src/helpers/zone';
import { ANOMALIES_MAX, type Anomaly, AnomalySet, barOf, type Evidence, groupMarks, markBars, worst } from '../src/model/anomalies';
import { evidenceRows, exactText, sentence, typeLabel, typeLetter } from '../src/model/anomaly-texts';
import { BarSeries } from '../src/model/bar-series';
import { Store } from '../src/model/store';
import { bar, wireBar } from './support';

const EVIDENCE: Evidence = { window: '1min', windowStart: null, logPos: '7', barRevision: 0, tradeId: null, bars: 20, method: 'mean', revision: 0, others: [] };

/** What the bar of a minute showed. */
function anomaly(minute: number, changes: Partial<Anomaly> = {}, evidence: Partial<Evidence> = {}): Anomaly {
  const { start, end } = bar(minute);
  return {
    id: `AAPL/volume_spike/1min/${minute}`,
    time: (end * 1000) as EpochMillis,
    symbol: 'AAPL',
    type: 'volume_spike',
    severity: 'low',
    description: '4.0 times the mean volume of 20 bars',
    value: 40,
    expected: 10,
    threshold: 3,
    state: 'active',
    ...changes,
    evidence: { ...EVIDENCE, windowStart: start, ...evidence },
  };
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

describe('what is held', () => {
  test('frames count in their order, and the history never undoes them', () => {
    const set = new AnomalySet();
    const asked = set.mark;
    set.apply(anomaly(1, { state: 'withdrawn' }, { revision: 1 }));
    // The answer was asked for before the frame came; the history's next one is a batch behind.
    expect(set.merge([anomaly(1)], asked)).toBe(false);
    expect(set.merge([anomaly(1)], set.mark)).toBe(false);
    expect(set.list.map(({ state }) => state)).toEqual(['withdrawn']);
    // Found again: it is the same anomaly, and its revisions begin anew.
    set.apply(anomaly(1));
    expect(set.list.map(({ state }) => state)).toEqual(['active']);
    expect(set.merge([anomaly(1, { severity: 'high' }, { revision: 2 })], set.mark)).toBe(true);
    expect(set.at('AAPL/volume_spike/1min/1')?.severity).toBe('high');
  });

  test('where frames may be missing the history counts', () => {
    const set = new AnomalySet();
    set.apply(anomaly(1, { state: 'withdrawn' }, { revision: 3 }));
    set.distrust();
    expect(set.merge([anomaly(1)], set.mark)).toBe(true);
    expect(set.list.map(({ state }) => state)).toEqual(['active']);
    expect(set.merge([anomaly(1)], set.mark)).toBe(false);
  });

  test('they ascend in time, and are bounded', () => {
    const set = new AnomalySet();
    set.merge(range(0, 10).reverse().map((minute) => anomaly(minute)), set.mark);
    set.setFrom(bar(0).start);
    expect(set.list.map(({ id }) => id)).toEqual(range(0, 10).map((minute) => anomaly(minute).id));
    for (const minute of range(10, ANOMALIES_MAX + 700)) set.apply(anomaly(minute));
    expect(set.size).toBeLessThanOrEqual(ANOMALIES_MAX + 500);
    expect(set.list.at(-1)?.id).toBe(anomaly(ANOMALIES_MAX + 699).id);
    // How far back it is complete follows.
    expect(set.from).toBeGreaterThan(bar(0).start);
    expect(set.list[0]?.time).toBeGreaterThanOrEqual((set.from ?? 0) * 1000);
  });
});

describe('where it is shown', () => {
  const series = new BarSeries();
  series.merge([0, 1, 2, 5].map((minute) => bar(minute)), series.mark);

  test('a bar’s at its bar, a trade’s at the bar it falls into', () => {
    expect(barOf(anomaly(1), series)?.start).toBe(bar(1).start);
    const trade = (millis: number): Anomaly => anomaly(1, { time: (bar(1).start * 1000 + millis) as EpochMillis }, { barRevision: null, tradeId: '9' });
    expect([-1, 0, 59_999].map((millis) => barOf(trade(millis), series)?.start)).toEqual([bar(0).start, bar(1).start, bar(1).start]);
  });

  test('where its bar was voided it stands at the one before; before all bars it is not shown', () => {
    expect(barOf(anomaly(4), series)?.start).toBe(bar(2).start);
    expect(barOf(anomaly(-1), series)).toBeUndefined();
  });

  test('with wider and narrower bars than those that are judged', () => {
    const wide = new BarSeries();
    wide.merge([bar(0, { end: (bar(0).start + 300) as EpochSeconds })], wide.mark);
    expect(barOf(anomaly(4), wide)?.start).toBe(bar(0).start);
    const narrow = new BarSeries();
    narrow.merge([0, 20, 40, 60].map((second) => bar(0, { start: (bar(0).start + second) as EpochSeconds, end: (bar(0).start + second + 20) as EpochSeconds })), narrow.mark);
    expect(barOf(anomaly(0), narrow)?.start).toBe(bar(0).start + 40);
  });

  test('marks closer than their width are one, however many bars that are', () => {
    const list = [0, 0, 1, 2, 5].map((minute, index) => anomaly(minute, { id: String(index) }));
    const marked = markBars(list, series);
    expect(marked.map(({ anomalies }) => anomalies.length)).toEqual([2, 1, 1, 1]);
    const at = (each: { start: number }): number => ((each.start - bar(0).start) / 60) * 8;
    const groups = groupMarks(marked, at, 20);
    expect(groups.map(({ x, anomalies }) => [x, anomalies.map(({ id }) => id)])).toEqual([[8, ['0', '1', '2', '3']], [40, ['4']]]);
    expect(groupMarks(marked, at, 5).map(({ x }) => x)).toEqual([0, 8, 16, 40]);
    expect(groupMarks(marked, () => null, 20)).toEqual([]);
  });

  test('a group is as severe as the worst that still counts', () => {
    expect(worst([anomaly(0), anomaly(1, { severity: 'high' }), anomaly(2, { severity: 'critical', state: 'withdrawn' })])).toBe('high');
    expect(worst([anomaly(2, { severity: 'critical', state: 'withdrawn' })])).toBe('critical');
  });
});

describe('its words', () => {
  test('rules of any name have a label and a letter', () => {
    expect(['price_spike', 'rsi_oversold', 'my_own.rule', 'x'].map((type) => `${typeLabel(type)} ${typeLetter(type)}`)).toEqual(['Price spike P', 'RSI oversold R', 'My own rule M', 'X X']);
  });

  test('figures have all their digits, and no noise', () => {
    expect([0.1 + 0.2, 12_345.678901234, -5, 0.00001234, null].map(exactText)).toEqual(['0.3', '12,345.6789012', '−5', '0.00001234', '–']);
  });

  test('the evidence says what the rule says, and nothing that it does not', () => {
    const rows = new Map(evidenceRows(anomaly(1, {}, { barRevision: 2, revision: 1, others: [['for', '5m']] }), UTC));
    expect(Object.fromEntries(rows)).toMatchObject({ Value: '40', Baseline: '10 (mean of 20 bars)', Threshold: '3 ×', 'Revision of the bar': '2', 'Position in the log': '7', Changed: '1 time', for: '5m' });
    expect(rows.has('Trade')).toBe(false);
    const bare = new Map(evidenceRows(anomaly(1, { value: null, expected: null, threshold: null }, { window: null, logPos: null, barRevision: null }), UTC));
    expect([bare.get('Value'), bare.get('Baseline'), bare.get('Threshold'), bare.has('Bar'), bare.has('Window')]).toEqual(['–', '–', '–', false, false]);
    expect(sentence(anomaly(1, { state: 'withdrawn' }), UTC)).toMatch(/^Volume spike, low, withdrawn, 2025-11-23 \d\d:\d\d:00 UTC: 4\.0 times/);
  });
});

describe('history and channel', () => {
  let store: Store;
  let feed: Feed;
  let sent: WireRequest[];
  let asked: URLSearchParams[];
  let answers: (params: URLSearchParams) => Response | Promise<Response>;

  const row = (minute: number, state = 'active', revision = 0): Record<string, unknown> => ({
    id: anomaly(minute).id, symbol: 'AAPL', anomaly_type: 'volume_spike', time: new Date(anomaly(minute).time).toISOString(), severity: 'low', state, metadata: { revision, bar_revision: 0 },
  });
  const rows = (list: readonly Record<string, unknown>[], next?: string): Response =>
    new Response(JSON.stringify(list), next === undefined ? {} : { headers: { link: `</api/v1/anomalies?cursor=${next}>; rel="next"` } });
  const ids = (): string[] => store.anomalies.list.map(({ id }) => id.split('/').at(-1) ?? '');

  beforeEach(() => {
    store = new Store();
    sent = [];
    asked = [];
    answers = () => rows([]);
    let bars = range(0, 3).reverse().map((minute) => wireBar(minute));
    const request = (async (input: URL) => {
      if (input.pathname.endsWith('/anomalies')) {
        asked.push(input.searchParams);
        return answers(input.searchParams);
      }
      if (!input.pathname.includes('/aggregated/')) return new Response('[]');
      const page = JSON.stringify(bars);
      bars = range(-3, 0).reverse().map((minute) => wireBar(minute));
      return new Response(page, asked.length === 0 ? { headers: { link: '</older?cursor=1>; rel="next"' } } : {});
    }) as typeof fetch;
    feed = new Feed(store, new Rest(new URL('http://host/'), request), () => undefined);
    feed.attach({ send: (frame: WireRequest) => sent.push(frame), settle: () => undefined } as unknown as Socket);
    store.setSymbols(['AAPL']);
  });

  test('those of the bars are asked for, page by page, and the channel is followed', async () => {
    answers = (params) => (params.get('cursor') === '1' ? rows([row(0)]) : rows([row(2), row(1)], '1'));
    feed.select('AAPL', '1min');
    feed.opened();
    await vi.waitFor(() => { expect(ids()).toEqual(['0', '1', '2']); });
    expect([asked[0]?.get('symbol'), asked[0]?.get('limit'), asked[0]?.get('empty')]).toEqual(['AAPL', '1000', 'ok']);
    expect(Date.parse(asked[0]?.get('start_time') ?? '') / 1000).toBe(bar(0).start - 1);
    expect(sent.some(({ type, channels, symbols }) => type === 'subscribe' && channels.includes('anomalies') && symbols.join() === '*')).toBe(true);
    feed.received(JSON.stringify({ type: 'anomaly', ...row(1, 'withdrawn', 1), seq: 5 }));
    feed.received(JSON.stringify({ type: 'anomaly', ...row(1), symbol: 'IBM', seq: 5 }));
    expect(store.anomalies.list.map(({ state }) => state)).toEqual(['active', 'withdrawn', 'active']);
    // What the page holds no bars of comes with its bars.
    feed.received(JSON.stringify({ type: 'anomaly', ...row(-5), seq: 6 }));
    expect(ids()).toEqual(['0', '1', '2']);
  });

  test('a fault is said, and what may succeed later is tried again', async () => {
    vi.useFakeTimers();
    try {
      answers = () => new Response(JSON.stringify({ code: 'unavailable', detail: 'the history is away' }), { status: 503 });
      feed.select('AAPL', '1min');
      await vi.waitFor(() => { expect(store.anomalyFault).toBe('the history is away'); });
      answers = () => rows([row(2)]);
      await vi.advanceTimersByTimeAsync(2_000);
      expect([ids(), store.anomalyFault]).toEqual([['2'], '']);
    } finally {
      vi.useRealTimers();
    }
  });

  test('an answer for the symbol left behind is not shown, and the next one’s come all the same', async () => {
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => { open = resolve; });
    answers = async () => {
      await gate;
      return rows([row(1)]);
    };
    feed.select('AAPL', '1min');
    await vi.waitFor(() => { expect(asked).toHaveLength(1); });
    feed.select('IBM', '1min');
    answers = () => rows([{ ...row(2), symbol: 'IBM' }]);
    open();
    await vi.waitFor(() => { expect(ids()).toEqual(['2']); });
  });

  test('after a loss all is asked for again, and what the history says then counts', async () => {
    answers = () => rows([row(1)]);
    feed.select('AAPL', '1min');
    feed.opened();
    await vi.waitFor(() => { expect(ids()).toEqual(['1']); });
    feed.received(JSON.stringify({ type: 'anomaly', ...row(1, 'ended', 4), seq: 5 }));
    answers = () => rows([row(1, 'withdrawn', 1)]);
    feed.received(JSON.stringify({ type: 'skipped', channel: 'anomalies', symbol: 'AAPL', count: 3 }));
    await vi.waitFor(() => { expect(store.anomalies.list[0]?.state).toBe('withdrawn'); });
  });
});
