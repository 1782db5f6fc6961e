/**
 * How heavy the mark of an instant on the time scale is: where little room is left, only the heaviest marks keep a label.
 * The wall clock of the chosen zone decides, so that a day begins where it does for the reader, and round hours are round.
 */

/** The scale that the chart library has: the numbers count, since it draws the heaviest bold. */
const YEAR = 70;
const MONTH = 60;
const DAY = 50;
const INTRADAY: readonly (readonly [seconds: number, weight: number])[] = [
  [43_200, 33],
  [21_600, 32],
  [10_800, 31],
  [3600, 30],
  [1800, 22],
  [300, 21],
  [60, 20],
  [1, 10],
];

/** Weight of the mark at a wall clock, given the one of the place before it. */
export function tickWeight(wall: Date, before: Date): number {
  if (wall.getUTCFullYear() !== before.getUTCFullYear()) return YEAR;
  if (wall.getUTCMonth() !== before.getUTCMonth()) return MONTH;
  if (wall.getUTCDate() !== before.getUTCDate()) return DAY;
  const [now, then] = [wall.getTime() / 1000, before.getTime() / 1000];
  for (const [seconds, weight] of INTRADAY) if (Math.floor(now / seconds) !== Math.floor(then / seconds)) return weight;
  return 0;
}
