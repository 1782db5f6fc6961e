import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeFrame, decodeLatest } from '../src/api/decode';

const folder = new URL('./wire/', import.meta.url);
const read = (name: string): string => readFileSync(new URL(`${name}.json`, folder), 'utf8');

describe('frames', () => {
  test('every sample is understood', () => {
    const names = readdirSync(folder).map((file) => file.replace('.json', ''));
    expect(names.length).toBeGreaterThan(10);
    for (const name of names) expect(decodeFrame(read(name))[0]?.kind, name).toBe(name === 'feed' ? 'latest' : name);
  });

  test('a bar keeps every field', () => {
    const [message] = decodeFrame(read('bar'));
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
        late: 2,
        duplicates: 1,
        cancelled: 0,
      },
    });
  });

  test('a snapshot holds frames, with or without their type', () => {
    const [snapshot] = decodeFrame(read('snapshot'));
    expect(snapshot?.kind === 'snapshot' && snapshot.messages.map((inner) => inner.kind)).toEqual(['tick', 'bar']);
    expect(snapshot?.kind === 'snapshot' && snapshot.messages[0]).toMatchObject({ feed: 'dead' });
  });

  test('a resync carries its snapshot', () => {
    expect(decodeFrame(read('resync')).map((message) => message.kind)).toEqual(['resync', 'snapshot']);
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
    const text = read('bar').replace('"amended"', '"void"').replace('182.3,', 'null,');
    expect(decodeFrame(text)[0]?.kind).toBe('bar');
  });
});

test('a feed state alone leaves price and change unsaid', () => {
  expect(decodeLatest({ symbol: 'A', feed: 'stale' })).toEqual({ kind: 'latest', symbol: 'A', price: null, time: null, feed: 'stale' });
});
