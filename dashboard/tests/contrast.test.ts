/** Colours of text keep their contrast on every ground they stand on; a browser test meets only those that happen to be shown. */

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
};

function palette(selector: string): ReadonlyMap<string, string> {
  const from = css.indexOf(`${selector} {`);
  const block = css.slice(from, css.indexOf('}', from));
  return new Map([...block.matchAll(/--([a-z-]+): (#[0-9a-f]{6});/g)].map(([, name = '', color = '']) => [name, color]));
}

function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a: string, b: string): number {
  const [low = 0, high = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

test.each([
  ['dark', ':root'],
  ['light', ":root[data-theme='light']"],
  ['light by the system’s choice', ":root:not([data-theme='dark'])"],
])('every text of the %s palette can be read', (_, selector) => {
  const colors = palette(selector);
  for (const [text, grounds] of Object.entries(GROUNDS)) {
    for (const ground of grounds) {
      const ratio = contrast(colors.get(text) ?? '', colors.get(ground) ?? '');
      expect(ratio, `${text} on ${ground}: ${ratio.toFixed(2)}`).toBeGreaterThanOrEqual(RATIO_MIN);
    }
  }
});
