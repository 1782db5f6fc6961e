import { describe, expect, test } from 'vitest';
import { compact, counted, decimalsOf, fixed, latency, NONE, percent, rate, share, signed } from '../src/helpers/format';
import type { EpochSeconds } from '../src/helpers/nominal';
import { ageText, instantText, parseTime } from '../src/helpers/time';
import { UTC } from '../src/helpers/zone';

describe('numbers', () => {
  test.each([
    [182, 2],
    [182.3, 2],
    [1.17615, 5],
    [0.00001234, 8],
    [1.5e-7, 8],
    [61250.5, 2],
  ])('a price of %d needs %d decimals', (value, decimals) => {
    expect(decimalsOf(value)).toBe(decimals);
  });

  test.each([
    [fixed(1234.5, 2), '1,234.50'],
    [fixed(-0.5, 2), '−0.50'],
    [fixed(-0.001, 2), '0.00'],
    [fixed(null, 2), NONE],
    [fixed(Number.NaN, 2), NONE],
    [signed(1.5, 2), '+1.50'],
    [signed(-1.5, 2), '−1.50'],
    [signed(-0.001, 2), '0.00'],
    [signed(1234567.891, 2), '+1,234,567.89'],
    [percent(-1.136), '−1.14 %'],
    [percent(undefined), NONE],
    [share(1), '100 %'],
    [share(0.9999), '99.9 %'],
    [share(0), '0.0 %'],
    [compact(0), '0'],
    [compact(0.00012346), '0.0001235'],
    [compact(582), '582'],
    [compact(7015), '7015'],
    [compact(12_345), '12.3K'],
    [compact(1_234_567), '1.23M'],
    [compact(9.87e15), '9870T'],
    [rate(0), '0'],
    [rate(2.25), '2.3'],
    [rate(172.91), '173'],
    [rate(12_345.6), '12,346'],
    [rate(2_345_678), '2.35M'],
    [rate(undefined), NONE],
    [counted(1, 'duplicate'), '1 duplicate'],
    [counted(1234, 'duplicate'), '1,234 duplicates'],
    [latency(0.42), '0.42 ms'],
    [latency(12.4), '12 ms'],
    [latency(1840), '1.8 s'],
    [latency(null), NONE],
  ])('%s', (text, expected) => {
    expect(text).toBe(expected);
  });
});

describe('times', () => {
  test.each([
    ['2026-11-23T13:00:01Z', 1_795_438_801_000],
    ['2026-11-23T13:00:01.250Z', 1_795_438_801_250],
    ['2026-11-23T13:00:01.250999Z', 1_795_438_801_250],
    ['yesterday', undefined],
  ])('%s', (text, millis) => {
    expect(parseTime(text)).toBe(millis);
  });

  test('an instant shows seconds only when it has some', () => {
    expect(instantText(1_795_438_800 as EpochSeconds, UTC)).toBe('2026-11-23 13:00');
    expect(instantText(1_795_438_801 as EpochSeconds, UTC)).toBe('2026-11-23 13:00:01');
  });

  test.each([
    [-50, 'now'],
    [999, 'now'],
    [59_000, '59 s'],
    [61_000, '1 min'],
    [7_300_000, '2 h'],
    [200_000_000, '2 d'],
  ])('%d ms ago reads %s', (millis, text) => {
    expect(ageText(millis)).toBe(text);
  });
});
