/**
 * The chart as a picture to pass on: under a line that says what it shows, so that it explains itself, and whose charts
 * they are, as the library's licence asks for.
 */

import type { Palette } from './theme';

const FONT_PX = 13;
const MARGIN_PX = 12;
const LINE_PX = 22;
const CREDIT = 'Tickwire · Charts by TradingView';

/**
 * @param chart in pixels of the screen
 * @param lines what stands above it
 * @param badge of data that are no market's; empty for none
 */
export function drawPicture(chart: HTMLCanvasElement, lines: readonly string[], badge: string, palette: Palette, font: string): HTMLCanvasElement {
  const scale = devicePixelRatio;
  const head = Math.round((MARGIN_PX + lines.length * LINE_PX) * scale);
  const canvas = document.createElement('canvas');
  canvas.width = chart.width;
  canvas.height = chart.height + head;
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('the browser gives no canvas to draw on');
  context.fillStyle = palette.ground;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(chart, 0, head);
  context.textBaseline = 'middle';
  context.fillStyle = palette.text;
  lines.forEach((line, index) => {
    context.font = `${index === 0 ? 600 : 400} ${FONT_PX * scale}px ${font}`;
    context.fillText(line, MARGIN_PX * scale, (MARGIN_PX / 2 + (index + 0.5) * LINE_PX) * scale);
  });
  context.textAlign = 'right';
  context.font = `400 ${FONT_PX * scale}px ${font}`;
  const credit = badge === '' ? CREDIT : `${badge} · ${CREDIT}`;
  context.fillText(credit, canvas.width - MARGIN_PX * scale, (MARGIN_PX / 2 + 0.5 * LINE_PX) * scale);
  return canvas;
}

/** Encodes a picture. */
export function toPng(canvas: HTMLCanvasElement): Promise<Blob> {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => {
      if (blob === null) reject(new Error('the browser could not make a picture'));
      else resolve(blob);
    }, 'image/png');
  });
}
