/**
 * A figure of some values over the last minutes: a canvas with a line for each, and the newest values as text. The text is
 * what a screen reader gets; the lines differ in dash as well as in colour.
 */

import type { Point } from '../model/system';
import { SPAN_MS } from '../model/system';
import { element, setText } from './dom';
import type { Palette } from './theme';

/** One line: the field that it shows, and its label. */
export interface Line {
  readonly field: string;
  readonly label: string;
}

const HEIGHT = 56;
/** A gap between two points that a line does not cross: nothing was measured, or nobody listened. */
const GAP_MS = 15_000;

export class TimeLine {
  readonly root: HTMLElement;
  readonly #canvas = element('canvas', { class: 'time-line-canvas', 'aria-hidden': 'true' });
  readonly #top = element('span', { class: 'time-line-top', 'aria-hidden': 'true' });
  readonly #values: readonly HTMLElement[];
  /** Measured when it changes, never while drawing. */
  #width = 0;

  /** @param format how a value is written */
  constructor(
    label: string,
    title: string,
    private readonly lines: readonly Line[],
    private readonly format: (value: number | undefined) => string,
  ) {
    this.#values = lines.map(() => element('span', { class: 'value' }));
    const caption = element('figcaption', { title }, element('span', { class: 'time-line-label' }, label));
    lines.forEach((line, index) => {
      caption.append(element('span', { class: 'pair', 'data-line': String(index) }, element('span', { class: 'label' }, line.label), this.#values[index] ?? ''));
    });
    this.root = element('figure', { class: 'time-line' }, caption, element('div', { class: 'time-line-plot' }, this.#canvas, this.#top));
    new ResizeObserver(() => {
      this.#width = this.#canvas.clientWidth;
    }).observe(this.#canvas);
  }

  /** The newest values as they are written, for tests. */
  texts(): Record<string, string> {
    return Object.fromEntries(this.lines.map(({ field }, index) => [field, this.#values[index]?.textContent ?? '']));
  }

  draw(points: readonly Point[], palette: Palette): void {
    const newest = points.at(-1);
    this.lines.forEach(({ field }, index) => {
      const value = this.#values[index];
      if (value !== undefined) setText(value, this.format(newest?.values[field]));
    });
    // A stage in which nothing is timed, such as the way to clients of which there are none, takes no room.
    this.root.hidden = !this.lines.some(({ field }) => points.some(({ values }) => values[field] !== undefined));
    const context = this.#canvas.getContext('2d');
    if (context === null || newest === undefined || this.#width === 0) return;
    const ratio = Math.min(3, devicePixelRatio);
    const [width, height] = [Math.round(this.#width * ratio), HEIGHT * ratio];
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    }
    context.clearRect(0, 0, width, height);
    let top = 0;
    for (const { field } of this.lines) for (const { values } of points) top = Math.max(top, values[field] ?? 0);
    setText(this.#top, top === 0 ? '' : this.format(top));
    const inset = 2 * ratio;
    context.strokeStyle = palette.line;
    context.lineWidth = ratio;
    context.strokeRect(0.5, 0.5, width - 1, height - 1);
    this.lines.forEach(({ field }, index) => {
      context.beginPath();
      let before = -Infinity;
      for (const { time, values } of points) {
        const value = values[field];
        if (value === undefined) continue;
        const x = width - inset - ((newest.time - time) / SPAN_MS) * (width - 2 * inset);
        const y = height - inset - (top === 0 ? 0 : value / top) * (height - 2 * inset);
        if (time - before > GAP_MS) context.moveTo(x, y);
        else context.lineTo(x, y);
        before = time;
      }
      context.strokeStyle = index === 0 ? palette.text : palette.vwap;
      context.lineWidth = 1.5 * ratio;
      context.setLineDash(index === 0 ? [] : [4 * ratio, 2 * ratio]);
      context.stroke();
      context.setLineDash([]);
    });
  }
}
