/**
 * Draws the empty stretches behind the bars, and a watermark across the chart where its data are not a market's.
 *
 * A cause does not depend on colours: a stretch in which the source was silent is hatched, one without trades is plain;
 * one that is cut has dashed edges. Each has its cause and length as a label where there is room.
 */

import type { IChartApiBase, IPrimitivePaneView, ISeriesPrimitive, PrimitivePaneViewZOrder, SeriesAttachedParameter, UTCTimestamp } from 'lightweight-charts';
import type { EpochSeconds } from '../../helpers/nominal';
import { spanText } from '../../helpers/time';
import { firstAfter, lastPlace, type Stretch, type StretchCause } from '../../model/stretches';
import type { Palette } from '../theme';

/** A cause in a sentence, for the legend. */
export const CAUSE_TEXTS: Readonly<Record<StretchCause, string>> = {
  down: 'no data: the source was silent',
  untraded: 'no trades',
};

/** A cause on the chart, where there is little room. */
const LABELS: Readonly<Record<StretchCause, string>> = { down: 'source silent', untraded: 'no trades' };

const FONT_SIZE = 11;
/** Distance from the upper edge of the pane. */
const LABEL_TOP = 12;
/** Room beside a label. */
const LABEL_MARGIN = 8;
/** Smallest width of a stretch in which a vertical label fits. */
const UPRIGHT_MIN = 14;
const HATCH_STEP = 7;
const HATCH_ALPHA = 0.3;
const FILL_ALPHA = 0.08;
/** Width of the watermark as a share of the pane's. */
const WATERMARK_WIDTH = 0.6;
const WATERMARK_SIZE_MAX = 120;

interface Size {
  readonly width: number;
  readonly height: number;
}

function paneView(zOrder: PrimitivePaneViewZOrder, draw: (context: CanvasRenderingContext2D, size: Size) => void): IPrimitivePaneView {
  return {
    zOrder: () => zOrder,
    renderer: () => ({
      draw: (target) => {
        target.useMediaCoordinateSpace(({ context, mediaSize }) => {
          draw(context, mediaSize);
        });
      },
    }),
  };
}

export class StretchMarks implements ISeriesPrimitive {
  readonly #views: readonly IPrimitivePaneView[] = [
    paneView('bottom', (context, size) => {
      this.#drawWatermark(context, size);
      this.#eachSeen((stretch, left, right) => {
        this.#drawStretch(context, stretch, left, right, size);
      });
    }),
    // Labels are drawn above the grid, which would cross them out.
    paneView('normal', (context, { width }) => {
      context.font = `${FONT_SIZE}px ${this.font}`;
      context.textAlign = 'center';
      context.textBaseline = 'middle';
      this.#eachSeen((stretch, left, right) => {
        this.#drawLabel(context, stretch, left, right, width);
      });
    }),
  ];
  #chart: IChartApiBase | undefined;
  #requestUpdate: () => void = () => undefined;
  #stretches: readonly Stretch[] = [];
  #watermark = '';

  constructor(
    private readonly font: string,
    private palette: Palette,
  ) {}

  attached({ chart, requestUpdate }: SeriesAttachedParameter): void {
    this.#chart = chart;
    this.#requestUpdate = requestUpdate;
  }

  paneViews(): readonly IPrimitivePaneView[] {
    return this.#views;
  }

  /** Sets the stretches to draw, ascending. */
  setStretches(stretches: readonly Stretch[]): void {
    this.#stretches = stretches;
    this.#requestUpdate();
  }

  setWatermark(text: string): void {
    this.#watermark = text;
    this.#requestUpdate();
  }

  setPalette(palette: Palette): void {
    this.palette = palette;
    this.#requestUpdate();
  }

  /** Calls `draw` with each stretch on the screen and its edges. */
  #eachSeen(draw: (stretch: Stretch, left: number, right: number) => void): void {
    const scale = this.#chart?.timeScale();
    const visible = scale?.getVisibleRange() ?? null;
    if (scale === undefined || visible === null) return;
    const [from, to] = [Number(visible.from) as EpochSeconds, Number(visible.to) as EpochSeconds];
    const half = scale.options().barSpacing / 2;
    const x = (time: EpochSeconds): number | null => scale.timeToCoordinate(time as unknown as UTCTimestamp);
    for (let index = firstAfter(this.#stretches, from); index < this.#stretches.length; index += 1) {
      const stretch = this.#stretches[index];
      if (stretch === undefined || stretch.from > to) break;
      const [left, right] = [x(stretch.from), x(lastPlace(stretch))];
      if (left !== null && right !== null) draw(stretch, left - half, right + half);
    }
  }

  #drawStretch(context: CanvasRenderingContext2D, stretch: Stretch, left: number, right: number, { width, height }: Size): void {
    const isDown = stretch.cause === 'down';
    if (isDown) {
      context.save();
      context.beginPath();
      context.rect(left, 0, right - left, height);
      context.clip();
      context.fillStyle = context.strokeStyle = this.palette.partial;
      context.globalAlpha = FILL_ALPHA;
      context.fillRect(left, 0, right - left, height);
      context.globalAlpha = HATCH_ALPHA;
      context.lineWidth = 1;
      context.beginPath();
      // Only what is on the screen: a stretch may be many screens wide.
      const [first, last] = [Math.max(left, -HATCH_STEP), Math.min(right, width + HATCH_STEP)];
      for (let at = Math.floor((first - height) / HATCH_STEP) * HATCH_STEP; at < last; at += HATCH_STEP) {
        context.moveTo(at, height);
        context.lineTo(at + height, 0);
      }
      context.stroke();
      context.restore();
    }
    if (stretch.isCut) {
      context.save();
      context.strokeStyle = isDown ? this.palette.partial : this.palette.crosshair;
      context.lineWidth = 1;
      context.setLineDash([4, 4]);
      context.beginPath();
      for (const edge of [left, right]) {
        context.moveTo(Math.round(edge) + 0.5, 0);
        context.lineTo(Math.round(edge) + 0.5, height);
      }
      context.stroke();
      context.restore();
    }
  }

  #drawLabel(context: CanvasRenderingContext2D, stretch: Stretch, left: number, right: number, width: number): void {
    const text = `${LABELS[stretch.cause]} ${spanText(stretch.to - stretch.from)}`;
    const [seenLeft, seenRight] = [Math.max(0, left), Math.min(width, right)];
    const length = context.measureText(text).width;
    const isFlat = seenRight - seenLeft >= length + LABEL_MARGIN;
    // A short stretch without trades has no label: it would cover bars.
    if (!isFlat && (right - left < UPRIGHT_MIN || (stretch.cause === 'untraded' && !stretch.isCut))) return;
    context.save();
    context.translate(isFlat ? (seenLeft + seenRight) / 2 : (left + right) / 2, LABEL_TOP);
    if (!isFlat) {
      context.rotate(-Math.PI / 2);
      context.translate(-length / 2 + FONT_SIZE / 2, 0);
    }
    // Labels have the chart's background behind them, hatched or not.
    context.fillStyle = this.palette.ground;
    context.globalAlpha = 0.85;
    context.fillRect(-length / 2 - 3, -FONT_SIZE / 2 - 2, length + 6, FONT_SIZE + 4);
    context.globalAlpha = 1;
    context.fillStyle = stretch.cause === 'down' ? this.palette.partial : this.palette.text;
    context.fillText(text, 0, 0.5);
    context.restore();
  }

  #drawWatermark(context: CanvasRenderingContext2D, { width, height }: Size): void {
    if (this.#watermark === '') return;
    context.save();
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.fillStyle = this.palette.watermark;
    context.font = `700 100px ${this.font}`;
    const size = Math.min(WATERMARK_SIZE_MAX, (100 * width * WATERMARK_WIDTH) / context.measureText(this.#watermark).width);
    context.font = `700 ${size}px ${this.font}`;
    context.fillText(this.#watermark, width / 2, height / 2);
    context.restore();
  }
}
