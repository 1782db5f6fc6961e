import { describe, expect, test } from 'vitest';
import { decodeFrame, decodePast } from '../src/api/decode';
import type { EpochMillis } from '../src/helpers/nominal';
import { ServerClock } from '../src/helpers/server-clock';
import { badgeOf } from '../src/model/origin';
import { Store } from '../src/model/store';

function connected(fields: Record<string, unknown>): Store {
  const store = new Store();
  for (const message of decodeFrame(JSON.stringify({ type: 'connection', status: 'connected', timestamp: '2026-11-23T13:00:00Z', ...fields }))) store.apply(message);
  return store;
}

describe('where the data come from', () => {
  test.each([
    [{ data: 'simulated', provider: 'simulated' }, 'SIMULATED'],
    [{ data: 'replay', provider: 'polygon' }, 'REPLAY'],
    [{ data: 'live', provider: 'polygon' }, ''],
    // A server from before there was the field.
    [{}, ''],
    // One that is newer than the page: what is not known to be live is said.
    [{ data: 'delayed' }, 'DELAYED'],
  ])('%j has the badge "%s"', (fields, badge) => {
    expect(badgeOf(connected(fields).origin)).toBe(badge);
  });

  test('another server behind the same address is told', () => {
    const store = connected({ data: 'replay', provider: 'polygon' });
    expect(store.takeChanges().origin).toBe(true);
    for (const message of decodeFrame('{"type":"connection","data":"replay","provider":"polygon"}')) store.apply(message);
    expect(store.takeChanges().origin).toBe(false);
    for (const message of decodeFrame('{"type":"connection","data":"live","provider":"polygon"}')) store.apply(message);
    expect([store.takeChanges().origin, badgeOf(store.origin)]).toEqual([true, '']);
  });
});

test('the past that is whole, or that is none, is not shown', () => {
  expect(decodePast({ done: 340, total: 1000 })).toEqual({ done: 340, total: 1000 });
  for (const value of [undefined, null, {}, 7, { done: 1000, total: 1000 }, { done: '1', total: 2 }]) expect(decodePast(value)).toBeNull();
});

describe('the server’s clock', () => {
  const hour = 3_600_000;
  test('a machine whose clock is an hour off shows the server’s time', () => {
    let local = 1_795_435_200_000;
    const clock = new ServerClock(() => local as EpochMillis);
    clock.observe((local + hour) as EpochMillis);
    local += 5_000;
    expect(clock.now() - clock.local()).toBe(hour);
    // What a frame is under way makes nothing jump.
    clock.observe((local + hour - 800) as EpochMillis);
    expect(clock.now() - clock.local()).toBe(hour);
    // Somebody set it right.
    local += hour;
    clock.observe((local + 20) as EpochMillis);
    expect(clock.now()).toBe(local);
  });
});
