/**
 * Light and dark: the system's preference until the user chooses. What is shown stands in `data-theme`, from which the style
 * sheet, where colours are defined, takes its palette; canvases read it from there.
 */

import { SEVERITIES, type Severity } from '../model/anomalies';
import type { Theme } from '../model/preferences';

/** Lines of indicators, by the names of their colours' custom properties. */
export const LINE_COLORS = ['sma-20', 'sma-50', 'sma-200', 'ema-12', 'ema-26', 'bb', 'rsi', 'macd', 'macd-signal'] as const;
export type LineColor = (typeof LINE_COLORS)[number];

/** Colours that canvases need, by the name of their custom property. */
export interface Palette {
  readonly ground: string;
  readonly line: string;
  readonly text: string;
  readonly up: string;
  readonly down: string;
  readonly upFaint: string;
  readonly downFaint: string;
  readonly vwap: string;
  readonly lines: Readonly<Record<LineColor, string>>;
  /** Inside of the Bollinger bands. */
  readonly band: string;
  /** What of the RSI lies beyond a zone. */
  readonly beyond: string;
  readonly amended: string;
  readonly partial: string;
  readonly severities: Readonly<Record<Severity, string>>;
  readonly crosshair: string;
  readonly label: string;
  readonly watermark: string;
}

export class ThemeSwitch {
  readonly #system = matchMedia('(prefers-color-scheme: light)');
  /** The user's choice; `null` leaves it to the system. */
  #chosen: Theme | null;
  /** What is shown. Kept, since a browser tells of no change that was asked for before it told. */
  #shown: Theme = 'dark';

  /**
   * @param remembered what the user chose before
   * @param changed called after the colours have changed
   * @param chosen called with the user's choice
   */
  constructor(
    remembered: Theme | null,
    private readonly changed: () => void,
    private readonly chosen: (theme: Theme) => void,
  ) {
    this.#chosen = remembered;
    this.#system.addEventListener('change', () => {
      this.#show();
    });
    this.#show();
  }

  get theme(): Theme {
    return this.#shown;
  }

  toggle(): void {
    const next: Theme = this.#shown === 'dark' ? 'light' : 'dark';
    this.#chosen = next;
    this.chosen(next);
    this.#show();
  }

  palette(): Palette {
    const style = getComputedStyle(document.documentElement);
    const read = (name: string): string => style.getPropertyValue(`--${name}`).trim();
    return {
      ground: read('ground'),
      line: read('line-faint'),
      text: read('text-soft'),
      up: read('up'),
      down: read('down'),
      upFaint: read('up-faint'),
      downFaint: read('down-faint'),
      vwap: read('vwap'),
      lines: Object.fromEntries(LINE_COLORS.map((name) => [name, read(name)])) as Record<LineColor, string>,
      band: read('band'),
      beyond: read('beyond'),
      amended: read('amended'),
      partial: read('partial'),
      severities: Object.fromEntries(SEVERITIES.map((name) => [name, read(`severity-${name}`)])) as Record<Severity, string>,
      crosshair: read('crosshair'),
      label: read('label'),
      watermark: read('watermark'),
    };
  }

  #show(): void {
    this.#shown = this.#chosen ?? (this.#system.matches ? 'light' : 'dark');
    document.documentElement.dataset['theme'] = this.#shown;
    const ground = getComputedStyle(document.documentElement).getPropertyValue('--ground').trim();
    document.querySelector('meta[name="theme-color"]')?.setAttribute('content', ground);
    this.changed();
  }
}
