/**
 * Numbers that must not be mixed up: a price is no time, seconds are no milliseconds.
 * The tag exists for the compiler only; at run time the value is the bare number.
 */

declare const tag: unique symbol;

/** `T` that only fits where the same `Name` is asked for. */
export type Nominal<T, Name extends string> = T & { readonly [tag]: Name };

/** A price, or anything on the price scale (VWAP, moving averages). */
export type Price = Nominal<number, 'Price'>;
/** Milliseconds since the UNIX epoch, UTC. */
export type EpochMillis = Nominal<number, 'EpochMillis'>;
/** Seconds since the UNIX epoch, UTC: how bars are keyed and what the chart's time scale counts in. */
export type EpochSeconds = Nominal<number, 'EpochSeconds'>;
