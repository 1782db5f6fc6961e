/** Names of windows (`30s`, `1min`, `4h`, `1d`) and their lengths. */

/** What the server has unless its settings say otherwise. */
export const DEFAULT_WINDOWS: readonly string[] = ['1min', '5min', '15min', '1h', '1d'];

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, sec: 1, m: 60, min: 60, h: 3600, d: 86_400 };

/** Length of a window in seconds; `undefined` for a name that is not understood. */
export function windowSeconds(name: string): number | undefined {
  const match = /^(\d+)([a-z]+)$/.exec(name);
  const unit = UNIT_SECONDS[match?.[2] ?? ''];
  const count = Number(match?.[1]);
  return unit === undefined || !(count > 0) ? undefined : unit * count;
}
