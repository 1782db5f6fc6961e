/**
 * The time by the server's clock. Ages on the page are differences between it and event times. The clock of the machine
 * that shows the page may be hours off, and then a symbol that trades would look dead, or a dead one alive.
 */

import type { EpochMillis } from './nominal';

/** Clocks that differ by less than this count as equal: correcting for a frame's travel time would only make ages jump. */
const TOLERANCE_MS = 1_000;

export class ServerClock {
  #ahead = 0;

  /** @param local the time by this machine's clock, for spans that begin and end here */
  constructor(readonly local: () => EpochMillis) {}

  /** The time by the server's clock, as far as it is known. */
  now(): EpochMillis {
    return (this.local() + this.#ahead) as EpochMillis;
  }

  /** Takes the server's time from a frame that has just arrived. */
  observe(time: EpochMillis): void {
    const ahead = time - this.local();
    if (Math.abs(ahead - this.#ahead) > TOLERANCE_MS) this.#ahead = Math.abs(ahead) > TOLERANCE_MS ? ahead : 0;
  }
}
