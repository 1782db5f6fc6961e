import { describe, expect, test } from 'vitest';
import { BarSeries } from '../src/model/bar-series';
import { bar, random } from './support';

const minutes = (series: BarSeries): number[] => series.bars.map((held) => held.open - 100);

describe('live bars', () => {
  test('a new bar goes to the end, a later version replaces it where it stands', () => {
    const series = new BarSeries();
    expect(series.apply(bar(0, { state: 'forming' }))).toEqual({ kind: 'bar', start: bar(0).start });
    series.apply(bar(0, { state: 'forming', volume: 11 }));
    series.apply(bar(0, { volume: 12 }));
    series.apply(bar(1, { state: 'forming' }));
    expect(minutes(series)).toEqual([0, 1]);
    expect(series.at(bar(0).start)?.volume).toBe(12);
  });

  test('a bar does not go back to forming or to an older revision', () => {
    const series = new BarSeries();
    series.apply(bar(0, { state: 'amended', revision: 2, volume: 20 }));
    expect(series.apply(bar(0, { state: 'forming' }))).toEqual({ kind: 'none' });
    expect(series.apply(bar(0, { state: 'amended', revision: 1 }))).toEqual({ kind: 'none' });
    expect(series.newest?.volume).toBe(20);
  });

  test('a void bar goes and stays gone, until a higher revision brings it back', () => {
    const series = new BarSeries();
    series.apply(bar(0));
    series.apply(bar(1));
    expect(series.apply(bar(0, { state: 'void', revision: 1 }))).toEqual({ kind: 'all' });
    series.apply(bar(0));
    series.merge([bar(1), bar(0)], series.mark);
    expect(minutes(series)).toEqual([1]);
    series.apply(bar(0, { state: 'amended', revision: 2 }));
    expect(minutes(series)).toEqual([0, 1]);
  });

  test('a bar made by a late trade takes its place among the others', () => {
    const series = new BarSeries();
    for (const minute of [0, 2, 3]) series.apply(bar(minute));
    expect(series.apply(bar(1, { state: 'amended', revision: 1 }))).toEqual({ kind: 'all' });
    expect(minutes(series)).toEqual([0, 1, 2, 3]);
  });
});

describe('history', () => {
  test('an answer asked for before a live change does not undo it', () => {
    const series = new BarSeries();
    series.apply(bar(5, { state: 'forming', volume: 1 }));
    const mark = series.mark;
    series.apply(bar(5, { state: 'forming', volume: 2 }));
    series.merge([bar(5, { state: 'forming', volume: 1 }), bar(4)], mark);
    expect(minutes(series)).toEqual([4, 5]);
    expect(series.newest?.volume).toBe(2);
  });

  test('an answer asked for after it refreshes a forming bar', () => {
    const series = new BarSeries();
    series.apply(bar(5, { state: 'forming', volume: 1 }));
    series.merge([bar(5, { state: 'forming', volume: 9 })], series.mark);
    expect(series.newest?.volume).toBe(9);
  });

  test('after a loss, bars that a page lacks were voided, except at its ends and where live frames came since', () => {
    const series = new BarSeries();
    for (const minute of [0, 1, 2, 3, 4]) series.apply(bar(minute));
    const lost = series.mark;
    series.apply(bar(3, { state: 'amended', revision: 1 }));
    series.merge([bar(4), bar(1)], series.mark, lost);
    expect(minutes(series)).toEqual([0, 1, 3, 4]);
  });

  test('without a loss, a page that lacks a bar was written before it', () => {
    const series = new BarSeries();
    for (const minute of [0, 1, 2]) series.apply(bar(minute));
    series.merge([bar(2), bar(0)], series.mark);
    expect(minutes(series)).toEqual([0, 1, 2]);
  });

  test('an empty page changes nothing', () => {
    const series = new BarSeries();
    series.apply(bar(0));
    expect(series.merge([], series.mark)).toEqual({ kind: 'none' });
    expect(minutes(series)).toEqual([0]);
  });
});

test('whatever the order of pages and frames, the newest version of every bar is held, ascending', () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const draw = random(seed);
    const versions = Array.from({ length: 30 }, (_, minute) => {
      const last = Math.floor(draw() * 4);
      return Array.from({ length: last + 1 }, (__, revision) => bar(minute, { revision, state: revision > 0 ? 'amended' : 'closed', volume: revision }));
    });
    const all = versions.flat();
    for (let index = all.length - 1; index > 0; index -= 1) {
      const other = Math.floor(draw() * (index + 1));
      const [a, b] = [all[index], all[other]];
      if (a !== undefined && b !== undefined) [all[index], all[other]] = [b, a];
    }
    const series = new BarSeries();
    for (const version of all) {
      if (draw() < 0.5) series.apply(version);
      else series.merge([version], series.mark);
    }
    expect(minutes(series), `seed ${seed}`).toEqual(versions.map((_, minute) => minute));
    expect(series.bars.map((held) => held.revision), `seed ${seed}`).toEqual(versions.map((list) => list.length - 1));
  }
});

describe('neighbours and ranges', () => {
  // Minutes 0 to 9, and 5 is missing.
  const series = new BarSeries();
  for (let minute = 0; minute < 10; minute += 1) if (minute !== 5) series.apply(bar(minute));
  const at = (minute: number): number => bar(minute).start;
  const opens = (bars: readonly { readonly open: number }[]): number[] => bars.map(({ open }) => open - 100);

  test('the bar after another, over a hole too', () => {
    expect(series.after(bar(4).start)?.start).toBe(at(6));
    expect(series.after(bar(9).start)).toBeUndefined();
  });

  test.each([
    [2, 4, [2, 3, 4], [1, 2, 3, 4, 6]],
    [0, 1, [0, 1], [0, 1, 2]],
    [5, 5, [], [4, 6]],
    [8, 20, [8, 9], [7, 8, 9]],
    [-9, -5, [], [0]],
  ])('from %d to %d', (from, to, between, around) => {
    const [first, last] = [bar(from).start, bar(to).start];
    expect(opens(series.between(first, last))).toEqual(between);
    expect(opens(series.around(first, last))).toEqual(around);
  });
});
