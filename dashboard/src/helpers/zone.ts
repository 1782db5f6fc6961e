/**
 * Time zones: how far a zone is from UTC at an instant, and the wall clock there.
 *
 * Promises: summer time counts, with its skipped and its repeated hour. An instant that many bars ask for is looked up
 * once a quarter of an hour, since the browser's own conversion is slow and all offsets change on such a boundary.
 */

import type { EpochSeconds } from './nominal';

/** Offsets change on a quarter of an hour at the finest. */
const BLOCK_SECONDS = 900;
/** Offsets kept: those of all bars that a chart holds. They are cheap to find again. */
const BLOCKS_MAX = 50_000;

export class Zone {
  readonly #offset: Intl.DateTimeFormat;
  readonly #short: Intl.DateTimeFormat;
  readonly #offsets = new Map<number, number>();

  /** @param id name in the IANA database, such as `America/New_York`; throws `RangeError` for one that is not known */
  constructor(readonly id: string) {
    this.#offset = new Intl.DateTimeFormat('en-US', { timeZone: id, timeZoneName: 'longOffset' });
    this.#short = new Intl.DateTimeFormat('en-US', { timeZone: id, timeZoneName: 'short' });
  }

  /** Seconds that the zone is ahead of UTC. */
  offset(at: EpochSeconds): number {
    const block = Math.floor(at / BLOCK_SECONDS);
    let offset = this.#offsets.get(block);
    if (offset === undefined) {
      if (this.#offsets.size >= BLOCKS_MAX) this.#offsets.clear();
      offset = parseOffset(this.#part(this.#offset, at));
      this.#offsets.set(block, offset);
    }
    return offset;
  }

  /** The wall clock of an instant, as a date whose UTC fields are read. */
  wall(at: EpochSeconds): Date {
    return new Date((at + this.offset(at)) * 1000);
  }

  /**
   * The instant at which the wall clock shows this, given as if it were UTC. Of an hour that the clock shows twice it is
   * the first; a time that the clock skips is read as far behind the change as it claims to be.
   */
  instant(wall: number): EpochSeconds {
    const offsets = [-86_400, 86_400].map((away) => this.offset((wall + away) as EpochSeconds)).sort((a, b) => b - a);
    const found = offsets.map((offset) => (wall - offset) as EpochSeconds).find((at) => at + this.offset(at) === wall);
    return found ?? ((wall - (offsets.at(-1) ?? 0)) as EpochSeconds);
  }

  /** Its usual abbreviation at an instant: `UTC`, `EST`, `GMT+1`. */
  abbreviation(at: EpochSeconds): string {
    return this.#part(this.#short, at);
  }

  /** The place it is named after: `New York`, `UTC`. */
  get place(): string {
    return (this.id.split('/').at(-1) ?? this.id).replaceAll('_', ' ');
  }

  #part(format: Intl.DateTimeFormat, at: EpochSeconds): string {
    return format.formatToParts(at * 1000).find(({ type }) => type === 'timeZoneName')?.value ?? '';
  }
}

export const UTC = new Zone('UTC');

/** Reads `GMT`, `GMT-05:00`, `GMT+05:30`. */
function parseOffset(text: string): number {
  const match = /^GMT([+-])(\d\d):(\d\d)(?::(\d\d))?$/.exec(text);
  if (match === null) return 0;
  const [, sign, hours, minutes, seconds] = match;
  return (sign === '-' ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds ?? 0));
}
