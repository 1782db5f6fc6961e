/** A line of recent closes, drawn on a canvas: a thousand rows of SVG would cost more than the chart. */

/** Size in CSS pixels. Fixed here rather than measured: asking the element would force a layout for every row. */
const WIDTH = 48;
const HEIGHT = 20;

/** Draws the points edge to edge; fewer than two draw nothing. */
export function drawSparkline(canvas: HTMLCanvasElement, points: readonly number[], color: string): void {
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
  if (points.length < 2) return;
  let low = Infinity;
  let high = -Infinity;
  for (const point of points) {
    low = Math.min(low, point);
    high = Math.max(high, point);
  }
  const inset = 1.5 * ratio;
  const span = high - low;
  const y = (point: number): number =>
    span === 0 ? height / 2 : height - inset - ((point - low) / span) * (height - 2 * inset);
  const step = (width - 2 * inset) / (points.length - 1);
  context.beginPath();
  points.forEach((point, index) => {
    context.lineTo(inset + index * step, y(point));
  });
  context.strokeStyle = color;
  context.lineWidth = 1.25 * ratio;
  context.lineJoin = 'round';
  context.stroke();
}
