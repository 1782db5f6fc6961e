/** Times by the wall clock of a zone, summer time and its changes included. */

import { describe, expect, test } from 'vitest';
import type { EpochMillis, EpochSeconds } from '../src/helpers/nominal';
import { clockText, instantText } from '../src/helpers/time';
import { UTC, Zone } from '../src/helpers/zone';
import { tickWeight } from '../src/model/tick-weights';
import { exchangeZone, zoneOf } from '../src/model/zones';

const NEW_YORK = new Zone('America/New_York');
const KOLKATA = new Zone('Asia/Kolkata');
const at = (text: string): EpochSeconds => (Date.parse(text) / 1000) as EpochSeconds;

describe('wall clocks', () => {
  test.each([
    ['2026-01-15T14:30:00Z', UTC, '2026-01-15 14:30', 'UTC'],
    ['2026-01-15T14:30:00Z', NEW_YORK, '2026-01-15 09:30', 'EST'],
    ['2026-07-15T13:30:00Z', NEW_YORK, '2026-07-15 09:30', 'EDT'],
    // Winter again, at the second: the clock shows one o'clock twice.
    ['2026-11-01T05:59:59Z', NEW_YORK, '2026-11-01 01:59:59', 'EDT'],
    ['2026-11-01T06:00:00Z', NEW_YORK, '2026-11-01 01:00', 'EST'],
    ['2026-01-15T20:15:00Z', KOLKATA, '2026-01-16 01:45', 'GMT+5:30'],
  ])('%s in %o reads %s %s', (utc, zone, text, name) => {
    expect(instantText(at(utc), zone)).toBe(text);
    expect(zone.abbreviation(at(utc))).toBe(name);
  });

  test('a clock shows the zone’s time', () => {
    expect(clockText((at('2026-07-15T13:30:05Z') * 1000) as EpochMillis, NEW_YORK)).toBe('09:30:05');
  });

  test.each([
    [NEW_YORK, '2026-01-15T09:30:00Z', '2026-01-15T14:30:00Z'],
    [NEW_YORK, '2026-07-15T09:30:00Z', '2026-07-15T13:30:00Z'],
    // Shown twice: the first.
    [NEW_YORK, '2026-11-01T01:30:00Z', '2026-11-01T05:30:00Z'],
    // Skipped: half an hour behind the change.
    [NEW_YORK, '2026-03-08T02:30:00Z', '2026-03-08T07:30:00Z'],
    [KOLKATA, '2026-01-16T01:45:00Z', '2026-01-15T20:15:00Z'],
  ])('%o: the wall clock %s is the instant %s', (zone, wall, utc) => {
    expect(new Date(zone.instant(at(wall)) * 1000).toISOString()).toBe(utc.replace('Z', '.000Z'));
  });

  test('every quarter of an hour of a year that a wall clock shows once leads back to itself', () => {
    for (let time = at('2026-01-01T00:00:00Z'); time < at('2027-01-01T00:00:00Z'); time = (time + 900) as EpochSeconds) {
      const back = NEW_YORK.instant(NEW_YORK.wall(time).getTime() / 1000);
      // Of the repeated hour the first half is meant.
      if (back !== time) expect([instantText(back, NEW_YORK), time - back]).toEqual([instantText(time, NEW_YORK), 3600]);
    }
  });

  test('a zone that nobody knows is refused', () => {
    expect(() => new Zone('Moon/Tranquility')).toThrow(RangeError);
  });
});

test.each([
  ['utc', 'equity', 'UTC'],
  ['local', 'equity', 'Asia/Kolkata'],
  ['exchange', 'equity', 'America/New_York'],
  ['exchange', 'future', 'America/Chicago'],
  ['exchange', 'pair', 'UTC'],
  ['exchange', undefined, 'UTC'],
] as const)('%s of %s is %s', (choice, assetClass, id) => {
  expect(zoneOf(choice, KOLKATA, assetClass).id).toBe(id);
});

test('the same zone is the same object, so that a change can be told', () => {
  expect(exchangeZone('equity')).toBe(exchangeZone('equity'));
});

describe('marks of the time scale', () => {
  const weight = (zone: Zone, now: string, before: string): number => tickWeight(zone.wall(at(now)), zone.wall(at(before)));

  test.each([
    ['2026-01-01T00:00:00Z', '2025-12-31T23:59:00Z', 70],
    ['2026-02-01T00:00:00Z', '2026-01-31T23:59:00Z', 60],
    ['2026-01-02T00:00:00Z', '2026-01-01T23:59:00Z', 50],
    ['2026-01-01T12:00:00Z', '2026-01-01T11:59:00Z', 33],
    ['2026-01-01T11:00:00Z', '2026-01-01T10:59:00Z', 30],
    ['2026-01-01T11:30:00Z', '2026-01-01T11:29:00Z', 22],
    ['2026-01-01T11:35:00Z', '2026-01-01T11:34:00Z', 21],
    ['2026-01-01T11:31:00Z', '2026-01-01T11:30:00Z', 20],
    ['2026-01-01T11:31:05Z', '2026-01-01T11:31:00Z', 10],
  ])('%s after %s weighs %d', (now, before, expected) => {
    expect(weight(UTC, now, before)).toBe(expected);
  });

  test('a day begins where it does in the zone', () => {
    expect(weight(NEW_YORK, '2026-01-02T05:00:00Z', '2026-01-02T04:59:00Z')).toBe(50);
    expect(weight(NEW_YORK, '2026-01-02T00:00:00Z', '2026-01-01T23:59:00Z')).toBeLessThan(50);
    expect(weight(KOLKATA, '2026-01-01T18:30:00Z', '2026-01-01T18:29:00Z')).toBe(50);
  });
});
