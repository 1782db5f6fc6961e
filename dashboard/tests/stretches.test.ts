import { describe, expect, test } from 'vitest';
import type { EpochSeconds } from '../src/helpers/nominal';
import { spanText } from '../src/helpers/time';
import { type Bar, isPartial } from '../src/model/bar';
import type { FeedState } from '../src/model/feed-state';
import { CUT_PLACES, firstAfter, lastPlace, type Now, placesMax, placesOf, scaleLimit, stretchAt, stretchesOf } from '../src/model/stretches';
import { bar, random } from './support';

const LIMIT = 240;
const at = (minute: number, feed: FeedState | null = null): Now => ({ time: bar(minute).start, feed });
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

describe('stretches', () => {
  test('bars side by side have none', () => {
    expect(stretchesOf([bar(0), bar(1), bar(2)], null, LIMIT)).toEqual([]);
    expect(stretchesOf([], at(5), LIMIT)).toEqual([]);
  });

  test('eighteen minutes of downtime take eighteen places and are told from a quiet market', () => {
    const [down] = stretchesOf([bar(0, { coverage: 0.4 }), bar(19)], null, LIMIT);
    expect(down).toMatchObject({ from: bar(1).start, to: bar(19).start, cause: 'down', places: 18, isCut: false, isOpen: false });
    const [after] = stretchesOf([bar(0), bar(19, { coverage: 0.9 })], null, LIMIT);
    expect(after?.cause).toBe('down');
    const [quiet] = stretchesOf([bar(0), bar(19)], null, LIMIT);
    expect(quiet?.cause).toBe('untraded');
  });

  test('a bar of the venue’s own is whole, and no sign of an outage', () => {
    const vendors = bar(0, { coverage: 0, isVendors: true });
    expect(isPartial(vendors)).toBe(false);
    expect(isPartial({ ...vendors, isVendors: false })).toBe(true);
    expect(stretchesOf([vendors, bar(19, { coverage: 0, isVendors: true })], null, LIMIT)[0]?.cause).toBe('untraded');
  });

  test('places are the starts of the empty windows', () => {
    const [stretch] = stretchesOf([bar(0), bar(4)], null, LIMIT);
    expect(stretch && placesOf(stretch)).toEqual([bar(1).start, bar(2).start, bar(3).start]);
    expect(stretch && lastPlace(stretch)).toBe(bar(3).start);
  });

  test('a night is cut short, at its beginning', () => {
    const [night] = stretchesOf([bar(0), bar(1051)], null, LIMIT);
    expect(night).toMatchObject({ places: CUT_PLACES, isCut: true, to: bar(1051).start });
    expect(night && placesOf(night)).toEqual([bar(1).start, bar(2).start, bar(3).start]);
  });

  test.each<[FeedState | null, number, string]>([
    ['quiet', 1, 'untraded'],
    ['live', 0.5, 'untraded'],
    ['stale', 1, 'down'],
    ['dead', 1, 'down'],
    [null, 1, 'untraded'],
    [null, 0.5, 'down'],
  ])('behind the newest bar, with a feed that is %s and a coverage of %d: %s', (feed, coverage, cause) => {
    const [open] = stretchesOf([bar(0, { coverage })], at(4, feed), LIMIT);
    expect(open).toMatchObject({ cause, isOpen: true, places: 3, to: bar(4).start });
  });

  test('the window that is under way is not empty yet', () => {
    expect(stretchesOf([bar(0)], { time: (bar(2).start - 1) as EpochSeconds, feed: 'live' }, LIMIT)).toEqual([]);
    expect(stretchesOf([bar(0)], at(2, 'live'), LIMIT)).toHaveLength(1);
  });

  test('an open stretch leaves room for the bars before it', () => {
    expect(stretchesOf([bar(0)], at(31), LIMIT)[0]).toMatchObject({ places: 30, isCut: false });
    expect(stretchesOf([bar(0)], at(32), LIMIT)[0]).toMatchObject({ places: CUT_PLACES, isCut: true });
  });

  test('an instant is found in its stretch', () => {
    const stretches = stretchesOf([bar(0), bar(3), bar(4), bar(9)], null, LIMIT);
    expect(stretches).toHaveLength(2);
    expect(stretchAt(stretches, bar(0).start)).toBeUndefined();
    expect(stretchAt(stretches, bar(1).start)).toBe(stretches[0]);
    expect(stretchAt(stretches, bar(4).start)).toBeUndefined();
    expect(stretchAt(stretches, bar(8).start)).toBe(stretches[1]);
    expect(stretchAt(stretches, bar(9).start)).toBeUndefined();
    expect(firstAfter(stretches, bar(9).start)).toBe(2);
  });
});

describe('the limit', () => {
  test('four hours, a screen or two', () => {
    expect(scaleLimit([bar(0), bar(19)])).toBe(240);
    const hours = [0, 60, 120].map((minute) => bar(minute, { end: bar(minute + 60).start }));
    expect(scaleLimit(hours)).toBe(4);
    const days = [0, 1440].map((minute) => bar(minute, { end: bar(minute + 1440).start }));
    expect(scaleLimit(days)).toBe(CUT_PLACES);
    expect(scaleLimit([])).toBe(240);
  });

  test('a thinly traded symbol has no chart of nothing', () => {
    const thin = Array.from({ length: 500 }, (_, index) => bar(index * 30));
    expect(scaleLimit(thin)).toBe(CUT_PLACES);
    const places = stretchesOf(thin, null, scaleLimit(thin)).map((stretch) => stretch.places);
    expect(new Set(places)).toEqual(new Set([CUT_PLACES]));
  });

  test('whatever the bars, places are bounded, and stretches of one length are treated alike', () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const draw = random(seed);
      const mean = 1 + draw() * 400;
      const bars: Bar[] = [];
      for (let minute = 0; bars.length < 300; minute += 1 + Math.floor(-Math.log(1 - draw()) * mean * Number(draw() < 0.5))) bars.push(bar(minute));
      const limit = scaleLimit(bars);
      const stretches = stretchesOf(bars, null, limit);
      expect(sum(stretches.map(({ places }) => places)), `seed ${seed}`).toBeLessThanOrEqual(placesMax(bars.length) + CUT_PLACES * bars.length);
      for (const { from, to, places, isCut } of stretches) {
        const windows = (to - from) / 60;
        expect(isCut, `seed ${seed}`).toBe(windows > limit);
        expect(places).toBe(isCut ? CUT_PLACES : windows);
      }
      const all = stretches.flatMap(placesOf);
      expect(all.every((place, index) => index === 0 || place > (all[index - 1] ?? 0)), `seed ${seed}`).toBe(true);
    }
  });
});

test.each([[0, '0 s'], [45, '45 s'], [60, '1 min'], [61, '1 min 1 s'], [1080, '18 min'], [63_000, '17 h 30 min'], [223_200, '2 d 14 h'], [86_430, '1 d'], [2601 * 86_400, '2601 d']])(
  'a span of %d s is %s',
  (seconds, text) => {
    expect(spanText(seconds)).toBe(text);
  },
);
