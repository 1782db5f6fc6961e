/**
 * A line of the last hour's closes, drawn to scale in time, on a canvas: a thousand rows of SVG would cost more than the
 * chart. Its colour says where it ends as compared with where it begins, and nothing about the day.
 */

import { type Hour, HOUR_MINUTES, trendOf } from '../model/hour';
import type { Palette } from './theme';

/** Size in CSS pixels. Fixed here rather than measured: asking the element would force a layout for every row. */
const WIDTH = 48;
const HEIGHT = 20;

/** Draws the minutes of the hour that ends with the minute `now`, which stands at the right edge; fewer than two draw nothing. */
export function drawSparkline(canvas: HTMLCanvasElement, hour: Hour, now: number, palette: Palette): void {
  const ratio = Math.min(3, devicePixelRatio);
  const width = Math.round(WIDTH * ratio);
  const height = Math.round(HEIGHT * ratio);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext('2d');
  if (context === null) return;
  context.clearRect(0, 0, width, height);
  const trend = hour.length < 2 ? 'none' : (['down', 'flat', 'up'] as const)[trendOf(hour) + 1];
  canvas.dataset['trend'] = trend;
  if (hour.length < 2) return;
  let low = Infinity;
  let high = -Infinity;
  for (const { close } of hour) {
    low = Math.min(low, close);
    high = Math.max(high, close);
  }
  const inset = 1.5 * ratio;
  const span = high - low;
  const y = (close: number): number =>
    span === 0 ? height / 2 : height - inset - ((close - low) / span) * (height - 2 * inset);
  const step = (width - 2 * inset) / (HOUR_MINUTES - 1);
  context.beginPath();
  for (const { minute, close } of hour) context.lineTo(width - inset - (now - minute) * step, y(close));
  context.strokeStyle = trend === 'up' ? palette.up : trend === 'down' ? palette.down : palette.text;
  context.lineWidth = 1.25 * ratio;
  context.lineJoin = 'round';
  context.stroke();
}
