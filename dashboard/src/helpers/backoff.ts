/**
 * Waits between attempts: doubling up to a cap, each drawn between half and the whole, so that the clients of a
 * restarted server do not come back in one wave. Only real success resets it, since a server that accepts and then
 * closes would otherwise be hammered.
 */
export class Backoff {
  #attempt = 0;

  /**
   * @param first longest first wait, in milliseconds
   * @param cap longest wait ever, in milliseconds
   * @param random a number in [0, 1)
   */
  constructor(
    private readonly first: number,
    private readonly cap: number,
    private readonly random: () => number,
  ) {}

  /** Attempts since the last success. */
  get attempt(): number {
    return this.#attempt;
  }

  /** Returns the next wait in milliseconds and counts the attempt. */
  next(): number {
    const whole = Math.min(this.cap, this.first * 2 ** this.#attempt);
    this.#attempt += 1;
    return Math.round(whole / 2 + (whole / 2) * this.random());
  }

  /** Goes straight to the longest wait: for refusals that trying again soon cannot change. */
  exhaust(): void {
    this.#attempt = Math.max(this.#attempt, Math.ceil(Math.log2(this.cap / this.first)));
  }

  reset(): void {
    this.#attempt = 0;
  }
}
