/** The time scale by the wall clock of a zone: times stay instants, and their marks and labels are those of the zone. */

import { defaultHorzScaleBehavior, type IHorzScaleBehavior, type TickMarkFormatter, TickMarkType, type Time } from 'lightweight-charts';
import type { EpochSeconds } from '../../helpers/nominal';
import type { Zone } from '../../helpers/zone';
import { tickWeight } from '../../model/tick-weights';

type Points = Parameters<IHorzScaleBehavior<Time>['fillWeightsForPoints']>[0];
type Point = Points[number];

const MONTHS = new Intl.DateTimeFormat('en-US', { month: 'short', timeZone: 'UTC' });

export class ZonedScale extends defaultHorzScaleBehavior() {
  /** @param zone the zone now; after a change all points must be made anew */
  constructor(private readonly zone: () => Zone) {
    super();
  }

  override fillWeightsForPoints(points: Points, from: number): void {
    const zone = this.zone();
    const wall = (point: Point): Date => zone.wall(point.originalTime as EpochSeconds);
    const [first, second] = points;
    if (first === undefined) return;
    let before: Date;
    if (from > 0) before = wall(points[from - 1] ?? first);
    // Nothing is known of the time before the first point; it is taken to be as far away as the next.
    else before = new Date(2 * wall(first).getTime() - wall(second ?? first).getTime());
    for (const point of points.slice(from)) {
      const now = wall(point);
      point.timeWeight = tickWeight(now, before) as Point['timeWeight'];
      before = now;
    }
  }
}

/** Labels of the time scale. */
export function tickMarkFormatter(zone: () => Zone): TickMarkFormatter {
  return (time, type) => {
    const wall = zone().wall(time as unknown as EpochSeconds);
    switch (type) {
      case TickMarkType.Year:
        return String(wall.getUTCFullYear());
      case TickMarkType.Month:
        return MONTHS.format(wall);
      case TickMarkType.DayOfMonth:
        return String(wall.getUTCDate());
      case TickMarkType.Time:
        return wall.toISOString().slice(11, 16);
      case TickMarkType.TimeWithSeconds:
        return wall.toISOString().slice(11, 19);
    }
  };
}
