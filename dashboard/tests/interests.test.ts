import { expect, test } from 'vitest';
import { Interests } from '../src/api/interests';

const none = new Map<string, number>();

test('topics with the same shape share a frame, and nothing is said twice', () => {
  const interests = new Interests();
  interests.want(['ticks:A', 'ticks:B', 'bars:A:1min', 'indicators:A:1min', 'metrics:*']);
  expect(interests.diff(null, none)).toEqual([
    { type: 'subscribe', symbols: ['A', 'B'], channels: ['ticks'], interval_ms: 200 },
    { type: 'subscribe', symbols: ['A'], channels: ['bars', 'indicators'], windows: ['1min'] },
    { type: 'subscribe', symbols: ['*'], channels: ['metrics'] },
  ]);
  expect(interests.diff(null, none)).toEqual([]);
});

test('a change subscribes the new before it leaves the old', () => {
  const interests = new Interests();
  interests.want(['bars:A:1min', 'ticks:*']);
  interests.diff(null, none);
  interests.want(['bars:A:5min', 'ticks:*']);
  expect(interests.diff(null, none)).toEqual([
    { type: 'subscribe', symbols: ['A'], channels: ['bars'], windows: ['5min'] },
    { type: 'unsubscribe', symbols: ['A'], channels: ['bars'], windows: ['1min'] },
  ]);
});

test('a new connection is told everything, with the bars that were heard before', () => {
  const interests = new Interests();
  interests.want(['bars:A:1min', 'ticks:*']);
  const seqs = new Map([['bars:A:1min', 7], ['bars:A:5min', 3], ['ticks:A', 40], ['ticks:B', 41]]);
  interests.diff(null, seqs);
  interests.forget();
  expect(interests.diff('e1', seqs)).toEqual([
    { type: 'subscribe', symbols: ['A'], channels: ['bars'], windows: ['1min'], since: { epoch: 'e1', seqs: { 'bars:A:1min': 7 } } },
    { type: 'subscribe', symbols: ['*'], channels: ['ticks'], interval_ms: 200 },
  ]);
});
