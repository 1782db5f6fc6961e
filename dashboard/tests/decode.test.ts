import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeAnomaly, decodeBar, decodeFrame, decodeIndicators, decodeLatest } from '../src/api/decode';
import type { WireAnomaly, WireBar, WireIndicators, WireLatest } from '../src/api/wire';

/** The samples that the server's own tests write. */
const folder = new URL('../../tests/fixtures/wire/', import.meta.url);
const read = (name: string): string => readFileSync(new URL(`${name}.json`, folder), 'utf8');
const all = readdirSync(new URL('live/', folder)).map((file) => file.replace('.json', ''));
const names = all;

describe('frames', () => {
  test('every kind of frame has a sample', () => {
    expect(names.filter((name) => !name.includes('_')).sort()).toEqual([
      'anomaly', 'bar', 'connection', 'error', 'feed', 'indicators', 'ledger', 'metrics', 'pong', 'resync', 'skipped', 'snapshot', 'subscription', 'system', 'tick',
    ]);
  });

  test.each(names)('the sample `%s` is understood', (name) => {
    const kind = name.split('_')[0];
    expect(decodeFrame(read(`live/${name}`)).map((message) => message.kind)).toEqual([kind === 'feed' ? 'latest' : kind]);
  });

  test('a bar keeps every field', () => {
    const [message] = decodeFrame(read('live/bar_amended'));
    expect(message).toEqual({
      kind: 'bar',
      symbol: 'AAPL',
      window: '1min',
      seq: 312,
      bar: {
        start: 1_795_438_800,
        end: 1_795_438_860,
        open: 182.3,
        high: 182.5,
        low: 182.1,
        close: 182.31,
        volume: 1200,
        vwap: 182.284166667,
        tradeCount: 9,
        state: 'amended',
        revision: 2,
        coverage: 0.75,
        isVendors: false,
        late: 2,
        duplicates: 1,
        cancelled: 0,
      },
    });
  });

  test('an anomaly keeps every field, and its evidence', () => {
    const [message] = decodeFrame(read('live/anomaly'));
    expect(message).toEqual({
      kind: 'anomaly',
      anomaly: {
        id: 'AAPL/price_spike_up/1min/1795438801250000000',
        time: 1_795_438_801_250,
        symbol: 'AAPL',
        type: 'price_spike',
        severity: 'low',
        description: '5.2 % above the mean of 20 closes',
        value: 191.7,
        expected: 182.31,
        threshold: 5,
        state: 'active',
        evidence: { window: '1min', windowStart: 1_795_438_800, logPos: '4711', barRevision: null, tradeId: '77', bars: 20, method: 'mean', revision: 0, others: [] },
      },
    });
  });

  test('what a rule of its own says of an anomaly is kept as text', () => {
    const text = read('live/anomaly').replace('"method":"mean"', '"rule":"price > 200","hits":[1,2]');
    expect(decodeFrame(text)[0]).toMatchObject({ anomaly: { evidence: { method: null, others: [['rule', 'price > 200'], ['hits', '[1,2]']] } } });
  });

  test('a snapshot holds frames of every channel', () => {
    const [snapshot] = decodeFrame(read('live/snapshot_bars'));
    const messages = snapshot?.kind === 'snapshot' ? snapshot.messages : [];
    expect(messages.map((inner) => inner.kind)).toEqual(['tick', 'bar', 'bar', 'indicators']);
    expect(messages[0]).toMatchObject({ feed: 'dead' });
    expect(messages.map((inner) => (inner.kind === 'bar' ? inner.bar.state : null))).toEqual([null, 'closed', 'forming', null]);
  });

  test('members of a snapshot may come without their type', () => {
    const text = read('live/snapshot').replace('{"type":"tick",', '{');
    const [snapshot] = decodeFrame(text);
    expect(snapshot?.kind === 'snapshot' && snapshot.messages.map((inner) => inner.kind)).toEqual(['tick']);
  });

  test('a resync comes alone: its snapshot is a frame of its own', () => {
    expect(decodeFrame(read('live/resync'))).toEqual([{ kind: 'resync', epoch: '5a3c0f1e9b7d2846' }]);
  });

  test('a past that is being made is told with the metrics', () => {
    expect(decodeFrame(read('live/metrics_past'))[0]).toMatchObject({ past: { done: 340, total: 1000 } });
    expect(decodeFrame(read('live/metrics'))[0]).toMatchObject({ past: null, residue: 0 });
  });

  test.each(['', 'no json', 'null', '7', '[]', '{}', '{"type":"later"}', '{"type":"bar","symbol":"A"}', '{"type":"tick","symbol":"A","price":"1","timestamp":"2026-11-23T13:00:00Z"}'])(
    'what is malformed or unknown is left out: %s',
    (text) => {
      expect(decodeFrame(text)).toEqual([]);
    },
  );

  test('a quote moves no row', () => {
    expect(decodeFrame('{"type":"tick","symbol":"A","price":1,"volume":0,"timestamp":"2026-11-23T13:00:00Z","tick_type":"quote"}')).toEqual([]);
  });

  test('a void bar needs no prices', () => {
    const text = read('live/bar_void').replace('182.3,', 'null,');
    expect(text).toContain('"open":null');
    expect(decodeFrame(text)[0]?.kind).toBe('bar');
  });
});

test('a feed state alone leaves price and change unsaid', () => {
  expect(decodeLatest({ symbol: 'A', feed: 'stale' })).toEqual({ kind: 'latest', symbol: 'A', price: null, time: null, feed: 'stale' });
});

describe('answers of REST', () => {
  test('bars, indicators and latest are read as the server writes them', () => {
    const bars = (JSON.parse(read('rest/bars')) as WireBar[]).map((bar) => decodeBar(bar));
    expect(bars.length).toBeGreaterThan(1);
    expect(bars.map((bar) => bar?.bar.state)).toContain('forming');
    const indicators = (JSON.parse(read('rest/indicators_list')) as WireIndicators[]).map((point) => decodeIndicators(point));
    expect(indicators.length).toBeGreaterThan(1);
    for (const point of indicators) expect(point?.values.sma_20).toBe(25001.5);
    const anomalies = (JSON.parse(read('rest/anomalies')) as WireAnomaly[]).map((row) => decodeAnomaly(row));
    expect(anomalies).toMatchObject([{ id: '1-0', symbol: 'BTC-USD', severity: 'high', value: 28_928.25, evidence: { logPos: null, revision: 0 } }]);
    const latest = (JSON.parse(read('rest/latest_list')) as WireLatest[]).map((row) => decodeLatest(row));
    expect(latest).toHaveLength(1);
    expect(latest[0]).toMatchObject({ symbol: 'BTC-USD', price: 25714.11, feed: 'live' });
  });
});
