/**
 * Times as the wire writes them (RFC 3339, UTC) and as people read them: by the wall clock of a zone, which whoever shows
 * them hands in and names beside them.
 */

import type { EpochMillis, EpochSeconds } from './nominal';
import type { Zone } from './zone';

const pad = (value: number, width = 2): string => String(value).padStart(width, '0');

/** Reads an RFC 3339 time; `undefined` if it is none. Digits beyond the millisecond are dropped. */
export function parseTime(text: string): EpochMillis | undefined {
  const millis = Date.parse(text);
  return Number.isNaN(millis) ? undefined : (millis as EpochMillis);
}

export function toSeconds(millis: EpochMillis): EpochSeconds {
  return Math.floor(millis / 1000) as EpochSeconds;
}

export function toMillis(seconds: EpochSeconds): EpochMillis {
  return (seconds * 1000) as EpochMillis;
}

/** Writes a time for a query parameter. */
export function toRfc3339(seconds: EpochSeconds): string {
  return new Date(seconds * 1000).toISOString();
}

/** As the server writes whole seconds: `2026-11-23T14:03:00Z`. */
export function toWireTime(seconds: EpochSeconds): string {
  return toRfc3339(seconds).replace('.000Z', 'Z');
}

/** `14:03:27` in a zone. */
export function clockText(millis: EpochMillis, zone: Zone): string {
  const wall = zone.wall(toSeconds(millis));
  return `${pad(wall.getUTCHours())}:${pad(wall.getUTCMinutes())}:${pad(wall.getUTCSeconds())}`;
}

/** `2026-11-23 14:03` in a zone, with seconds only when the instant has some. */
export function instantText(seconds: EpochSeconds, zone: Zone): string {
  const text = zone.wall(seconds).toISOString();
  return `${text.slice(0, 10)} ${seconds % 60 === 0 ? text.slice(11, 16) : text.slice(11, 19)}`;
}

/** Number of the UTC day an instant falls into. */
export function utcDay(millis: EpochMillis): number {
  return Math.floor(millis / 86_400_000);
}

/** A span in its two coarsest units: `45 s`, `18 min`, `17 h 30 min`, `2 d 14 h`. */
export function spanText(seconds: number): string {
  const parts: readonly (readonly [length: number, unit: string])[] = [[86_400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const first = parts.findIndex(([length]) => seconds >= length);
  if (first < 0) return '0 s';
  let left = Math.floor(seconds);
  const texts: string[] = [];
  for (const [length, unit] of parts.slice(first, first + 2)) {
    const count = Math.floor(left / length);
    left -= count * length;
    if (count > 0) texts.push(`${count} ${unit}`);
  }
  return texts.join(' ');
}

/** How long ago, in the coarsest unit that still says something: `now`, `12 s`, `4 min`, `3 h`, `2 d`. */
export function ageText(millis: number): string {
  const seconds = Math.max(0, Math.floor(millis / 1000));
  if (seconds < 1) return 'now';
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}
