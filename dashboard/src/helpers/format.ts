/**
 * Numbers as people read them. Prices keep the digits their symbol needs (a watchlist whose columns jump is hard to
 * read), sizes and counts are shortened, and what is not known is a dash rather than a zero.
 */

/** Shown for a value that is not known. */
export const NONE = '–';

const MIN_DECIMALS = 2;
/** Beyond this a price column no longer fits; the server itself keeps at most 9. */
const MAX_DECIMALS = 8;

/** Digits after the point that `value` needs, within what a price column shows. */
export function decimalsOf(value: number): number {
  const text = String(value);
  const exponent = text.indexOf('e-');
  if (exponent >= 0) return MAX_DECIMALS;
  const point = text.indexOf('.');
  const decimals = point < 0 ? 0 : text.length - point - 1;
  return Math.min(MAX_DECIMALS, Math.max(MIN_DECIMALS, decimals));
}

const formats = new Map<number, Intl.NumberFormat>();

/** A number with a fixed count of decimals and grouped thousands; its minus is as wide as a plus, and zero has none. */
export function fixed(value: number | null | undefined, decimals: number): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  let format = formats.get(decimals);
  if (format === undefined) {
    format = new Intl.NumberFormat('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    formats.set(decimals, format);
  }
  const text = format.format(value);
  return text.startsWith('-') ? (/[1-9]/.test(text) ? `−${text.slice(1)}` : text.slice(1)) : text;
}

/** As [fixed], with a sign in front of what is not shown as zero. */
export function signed(value: number | null | undefined, decimals: number): string {
  const text = fixed(value === null || value === undefined ? value : Math.abs(value), decimals);
  if (text === NONE || value === null || value === undefined) return text;
  if (Number(text.replaceAll(',', '')) === 0) return text;
  return (value > 0 ? '+' : '−') + text;
}

export function percent(value: number | null | undefined): string {
  const text = signed(value, 2);
  return text === NONE ? text : `${text} %`;
}

/** A share between 0 and 1 as a percentage that reaches 100 only when nothing is missing. */
export function share(value: number): string {
  if (value >= 1) return '100 %';
  return `${fixed(Math.floor(Math.max(0, value) * 1000) / 10, 1)} %`;
}

/** Sizes and volumes: up to four significant digits, then K, M, B, T. */
export function compact(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size < 1) return String(Number(value.toPrecision(4)));
  if (size < 10_000) return String(Number(value.toFixed(size < 100 ? 3 : size < 1000 ? 2 : 1)));
  const units = ['K', 'M', 'B', 'T'];
  let scaled = value;
  let unit = -1;
  while (Math.abs(scaled) >= 1000 && unit < units.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${scaled.toFixed(Math.abs(scaled) < 10 ? 2 : Math.abs(scaled) < 100 ? 1 : 0)}${units[unit] ?? ''}`;
}

/** A pace a second: a decimal where it matters, whole numbers above, so that a busy figure stands still. */
export function rate(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  if (value >= 1_000_000) return compact(value);
  return fixed(value, value < 10 && !Number.isInteger(value) ? 1 : 0);
}

/** `1 duplicate`, `2 duplicates`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${fixed(count, 0)} ${count === 1 ? one : many}`;
}

/** Milliseconds with the digits that matter: `0.42 ms`, `12 ms`, `1.8 s`. */
export function latency(millis: number | null | undefined): string {
  if (millis === null || millis === undefined || !Number.isFinite(millis)) return NONE;
  if (millis >= 1000) return `${(millis / 1000).toFixed(1)} s`;
  return `${millis.toFixed(millis < 1 ? 2 : millis < 10 ? 1 : 0)} ms`;
}
