/**
 * The time by the server's clock. Ages on the page are differences between it and event times, and the machine that
 * shows the page may have its clock hours off: a symbol that trades would look dead there, or a dead one alive.
 */

import type { EpochMillis } from './nominal';

/** Closer than this the two clocks count as one: what a frame is under way would only make ages jump. */
const TOLERANCE_MS = 1_000;

export class ServerClock {
  #ahead = 0;

  /** @param local the time by this machine's clock, for spans that begin and end here */
  constructor(readonly local: () => EpochMillis) {}

  /** The time by the server's clock, as far as it is known. */
  now(): EpochMillis {
    return (this.local() + this.#ahead) as EpochMillis;
  }

  /** Takes the server's time out of a frame that has just come. */
  hear(time: EpochMillis): void {
    const ahead = time - this.local();
    if (Math.abs(ahead - this.#ahead) > TOLERANCE_MS) this.#ahead = Math.abs(ahead) > TOLERANCE_MS ? ahead : 0;
  }
}
