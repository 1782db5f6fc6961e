import { expect, test } from 'vitest';
import { Interests } from '../src/api/interests';

const none = new Map<string, number>();

test('topics with the same shape share a frame, and nothing is said twice', () => {
  const interests = new Interests();
  interests.want(['ticks:A', 'ticks:B', 'bars:A:1min', 'indicators:A:1min', 'metrics:*'], 200);
  expect(interests.diff(null, none)).toEqual([
    { type: 'subscribe', symbols: ['A', 'B'], channels: ['ticks'], interval_ms: 200 },
    { type: 'subscribe', symbols: ['A'], channels: ['bars', 'indicators'], windows: ['1min'] },
    { type: 'subscribe', symbols: ['*'], channels: ['metrics'] },
  ]);
  expect(interests.diff(null, none)).toEqual([]);
});

test('a change subscribes the new before it leaves the old', () => {
  const interests = new Interests();
  interests.want(['bars:A:1min', 'ticks:*'], 200);
  interests.diff(null, none);
  interests.want(['bars:A:5min', 'ticks:*'], 200);
  expect(interests.diff(null, none)).toEqual([
    { type: 'subscribe', symbols: ['A'], channels: ['bars'], windows: ['5min'] },
    { type: 'unsubscribe', symbols: ['A'], channels: ['bars'], windows: ['1min'] },
  ]);
});

test('a new connection is told everything, with the bars that were heard before', () => {
  const interests = new Interests();
  interests.want(['bars:A:1min', 'ticks:*'], 200);
  const seqs = new Map([['bars:A:1min', 7], ['bars:A:5min', 3], ['ticks:A', 40], ['ticks:B', 41]]);
  interests.diff(null, seqs);
  interests.forget();
  expect(interests.diff('e1', seqs)).toEqual([
    { type: 'subscribe', symbols: ['A'], channels: ['bars'], windows: ['1min'], since: { epoch: 'e1', seqs: { 'bars:A:1min': 7 } } },
    { type: 'subscribe', symbols: ['*'], channels: ['ticks'], interval_ms: 200 },
  ]);
});

test('closed bars are followed without those in progress; what is wanted whole is not asked for twice', () => {
  const interests = new Interests();
  interests.want(['closed:A:1min', 'closed:B:1min', 'bars:A:1min'], 200);
  expect(interests.diff(null, none)).toEqual([
    { type: 'subscribe', symbols: ['B'], channels: ['bars'], windows: ['1min'], forming: false },
    { type: 'subscribe', symbols: ['A'], channels: ['bars'], windows: ['1min'] },
  ]);
  // The chart goes from A to B: of A only closed bars are left, of B those in progress come in addition.
  interests.want(['closed:A:1min', 'closed:B:1min', 'bars:B:1min'], 200);
  expect(interests.diff('e1', new Map([['bars:A:1min', 7], ['bars:B:1min', 9]]))).toEqual([
    { type: 'unsubscribe', symbols: ['A'], channels: ['bars'], windows: ['1min'] },
    { type: 'subscribe', symbols: ['A'], channels: ['bars'], windows: ['1min'], forming: false },
    { type: 'subscribe', symbols: ['B'], channels: ['bars'], windows: ['1min'], since: { epoch: 'e1', seqs: { 'bars:B:1min': 9 } } },
  ]);
});

test('leaving all symbols leaves each of them, so those that stay are asked for again', () => {
  const interests = new Interests();
  interests.want(['ticks:*', 'closed:*:1min', 'bars:A:1min', 'bars:A:5min'], 1000);
  interests.diff(null, none);
  interests.want(['ticks:A', 'closed:B:1min', 'bars:A:1min', 'bars:A:5min'], 200);
  expect(interests.diff(null, none)).toEqual([
    { type: 'unsubscribe', symbols: ['*'], channels: ['ticks'] },
    { type: 'unsubscribe', symbols: ['*'], channels: ['bars'], windows: ['1min'] },
    { type: 'subscribe', symbols: ['A'], channels: ['ticks'], interval_ms: 200 },
    { type: 'subscribe', symbols: ['B'], channels: ['bars'], windows: ['1min'], forming: false },
    { type: 'subscribe', symbols: ['A'], channels: ['bars'], windows: ['1min'] },
  ]);
});

test('another interval is told with the ticks that are followed', () => {
  const interests = new Interests();
  interests.want(['ticks:A', 'metrics:*'], 200);
  interests.diff(null, none);
  interests.want(['ticks:A', 'metrics:*'], 1000);
  expect(interests.diff(null, none)).toEqual([{ type: 'subscribe', symbols: ['A'], channels: ['ticks'], interval_ms: 1000 }]);
  expect(interests.diff(null, none)).toEqual([]);
});
