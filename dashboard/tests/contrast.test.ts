/**
 * Colours of text keep their contrast on every ground they stand on, and lines of the chart can be seen and told apart; a
 * browser test meets only those that happen to be shown.
 */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const css = readFileSync(new URL('../src/ui/styles/palette.css', import.meta.url), 'utf8');
/** What WCAG asks for text of this size. */
const RATIO_MIN = 4.5;

const GROUNDS: Readonly<Record<string, readonly string[]>> = {
  text: ['ground', 'raised', 'hover', 'chosen'],
  'text-soft': ['ground', 'raised', 'hover', 'chosen'],
  up: ['ground', 'hover', 'chosen'],
  down: ['ground', 'hover', 'chosen'],
  warn: ['raised'],
  bad: ['raised'],
  amended: ['ground'],
  partial: ['ground'],
  'badge-text': ['badge'],
  // Of a withdrawn anomaly the letter has the colour; of others it is the ground's, on the colour.
  'severity-low': ['ground'],
  'severity-medium': ['ground'],
  'severity-high': ['ground'],
  'severity-critical': ['ground'],
};

/** Grounds that are laid over another for a moment, when a price has changed. */
const FLASHES = ['up-flash', 'down-flash'];

/** What WCAG asks for lines and marks. */
const LINE_RATIO_MIN = 3;
const LINES = ['vwap', 'sma-20', 'sma-50', 'sma-200', 'ema-12', 'ema-26', 'bb'];
/** Least distance of two lines in OKLab: 100 are black and white, two greys that people mix up are about 5. */
const DISTANCE_MIN = 9;
/** Candles are told from lines by their shape as well. */
const CANDLE_DISTANCE_MIN = 8;

function palette(selector: string): ReadonlyMap<string, string> {
  const from = css.indexOf(`${selector} {`);
  const block = css.slice(from, css.indexOf('}', from));
  return new Map([...block.matchAll(/--([a-z0-9-]+): (#[0-9a-f]{6}|rgb\([^)]*\));/g)].map(([, name = '', color = '']) => [name, color]));
}

function linear(color: string): readonly [red: number, green: number, blue: number] {
  const part = (at: number): number => {
    const value = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return [part(1), part(3), part(5)];
}

/** A colour with an opacity, such as `rgb(63 182 139 / 24%)`, over a ground. */
function laidOver(color: string, ground: string): string {
  const [red = 0, green = 0, blue = 0, percent = 0] = (color.match(/\d+/g) ?? []).map(Number);
  const mixed = [red, green, blue].map((part, index) => Math.round((part * percent + Number.parseInt(ground.slice(1 + 2 * index, 3 + 2 * index), 16) * (100 - percent)) / 100));
  return `#${mixed.map((part) => part.toString(16).padStart(2, '0')).join('')}`;
}

function luminance(color: string): number {
  const [red, green, blue] = linear(color);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Distance of two colours as people see it, by OKLab. */
function distance(a: string, b: string): number {
  const lab = (color: string): readonly number[] => {
    const [red, green, blue] = linear(color);
    const long = Math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue);
    const middle = Math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue);
    const short = Math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue);
    return [
      0.2104542553 * long + 0.793617785 * middle - 0.0040720468 * short,
      1.9779984951 * long - 2.428592205 * middle + 0.4505937099 * short,
      0.0259040371 * long + 0.7827717662 * middle - 0.808675766 * short,
    ];
  };
  const [one, other] = [lab(a), lab(b)];
  return 100 * Math.hypot(...one.map((value, index) => value - (other[index] ?? 0)));
}

function contrast(a: string, b: string): number {
  const [low = 0, high = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

const PALETTES = [
  ['dark', ':root'],
  ['light', ":root[data-theme='light']"],
] as const;

test.each(PALETTES)('every text of the %s palette can be read', (_, selector) => {
  const colors = palette(selector);
  for (const [text, grounds] of Object.entries(GROUNDS)) {
    for (const ground of grounds) {
      const ratio = contrast(colors.get(text) ?? '', colors.get(ground) ?? '');
      expect(ratio, `${text} on ${ground}: ${ratio.toFixed(2)}`).toBeGreaterThanOrEqual(RATIO_MIN);
    }
  }
});

test.each(PALETTES)('a price that flashes can be read in the %s palette', (_, selector) => {
  const colors = palette(selector);
  const color = (name: string): string => colors.get(name) ?? expect.fail(`no colour ${name}`);
  for (const flash of FLASHES) {
    for (const ground of ['ground', 'hover', 'chosen']) {
      expect(contrast(color('text'), laidOver(color(flash), color(ground))), `${flash} over ${ground}`).toBeGreaterThanOrEqual(RATIO_MIN);
    }
  }
});

test.each(PALETTES)('every line of the %s palette is seen, and no two are mixed up', (_, selector) => {
  const colors = palette(selector);
  const color = (name: string): string => colors.get(name) ?? expect.fail(`no colour ${name}`);
  for (const [index, line] of LINES.entries()) {
    expect(contrast(color(line), color('ground')), line).toBeGreaterThanOrEqual(LINE_RATIO_MIN);
    for (const other of LINES.slice(index + 1)) expect(distance(color(line), color(other)), `${line} and ${other}`).toBeGreaterThanOrEqual(DISTANCE_MIN);
    for (const candle of ['up', 'down']) expect(distance(color(line), color(candle)), `${line} and ${candle}`).toBeGreaterThanOrEqual(CANDLE_DISTANCE_MIN);
  }
});
