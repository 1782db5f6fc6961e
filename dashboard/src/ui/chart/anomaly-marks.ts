/**
 * Draws a mark above each bar that has anomalies, and finds the mark under the pointer.
 *
 * Nothing depends on colours: a mark has the letter of its type, or how many anomalies it stands for; a high or critical one
 * is a diamond, and a withdrawn one hollow and struck out. Marks that would cover each other are one.
 */

import type { IChartApiBase, IPrimitivePaneView, ISeriesApi, ISeriesPrimitive, PrimitiveHoveredItem, SeriesAttachedParameter } from 'lightweight-charts';
import type { EpochSeconds } from '../../helpers/nominal';
import { typeLetter } from '../../model/anomaly-texts';
import { type Anomaly, type Group, groupMarks, type Marked, type Severity, worst } from '../../model/anomalies';
import type { Palette } from '../theme';
import { chartTime } from './points';

/** Half the width of a mark, in pixels. */
const RADIUS = 8;
/** Least distance of two marks. */
const DISTANCE = 20;
/** From the top of the bar to the middle of its mark: above the dot of an amended bar. */
const ABOVE = 26;
/** Least distance from the upper edge of the pane. */
const TOP = 12;
/** How far from its middle a mark is still hit: a finger is not as fine as a pointer. */
const REACH = 13;
const FONT_SIZE = 10;
/** Side of the picture of a mark. */
const SIDE = 26;

/** A mark as it is drawn. */
export interface DrawnMark {
  readonly ids: readonly string[];
  readonly x: number;
  readonly y: number;
  readonly text: string;
  readonly severity: Severity;
  readonly isWithdrawn: boolean;
}

export class AnomalyMarks implements ISeriesPrimitive {
  readonly #views: readonly IPrimitivePaneView[] = [
    {
      zOrder: () => 'top',
      renderer: () => ({
        draw: (target) => {
          target.useMediaCoordinateSpace(({ context }) => {
            this.#draw(context);
          });
        },
      }),
    },
  ];
  #chart: IChartApiBase | undefined;
  #requestUpdate: () => void = () => undefined;
  #marked: readonly Marked[] = [];
  #chosen: string | null = null;
  #drawn: readonly DrawnMark[] = [];
  /** Marks as pictures, by what they look like: to paint each of them anew takes most of a frame while one scrolls. */
  readonly #pictures = new Map<string, HTMLCanvasElement>();

  constructor(
    private readonly candles: ISeriesApi<'Candlestick'>,
    /** The newest version of a bar's high: bars change without their anomalies. */
    private readonly highOf: (start: EpochSeconds) => number | undefined,
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

  hitTest(x: number, y: number): PrimitiveHoveredItem | null {
    const mark = this.at(x, y);
    return mark === undefined ? null : { externalId: mark.ids.join('\n'), zOrder: 'top', cursorStyle: 'pointer' };
  }

  /** The marks on the screen, from left to right. */
  get drawn(): readonly DrawnMark[] {
    return this.#drawn;
  }

  /** The bars that have marks, ascending. */
  get marked(): readonly Marked[] {
    return this.#marked;
  }

  /** The mark at a place of the pane. */
  at(x: number, y: number): DrawnMark | undefined {
    const reach = (mark: DrawnMark): number => Math.hypot(mark.x - x, mark.y - y);
    return this.#drawn.filter((mark) => reach(mark) <= REACH).sort((a, b) => reach(a) - reach(b))[0];
  }

  set(marked: readonly Marked[]): void {
    this.#marked = marked;
    this.#requestUpdate();
  }

  /** Puts a ring around the mark of an anomaly; `null` around none. */
  choose(id: string | null): void {
    this.#chosen = id;
    this.#requestUpdate();
  }

  setPalette(palette: Palette): void {
    this.palette = palette;
    this.#pictures.clear();
    this.#requestUpdate();
  }

  #draw(context: CanvasRenderingContext2D): void {
    this.#drawn = this.#groups().map((group) => this.#place(group));
    const ratio = context.getTransform().a;
    // On whole pixels of the screen, so that a picture stays sharp.
    const whole = (length: number): number => Math.round(length * ratio) / ratio;
    for (const mark of this.#drawn) {
      const [x, y] = [whole(mark.x), whole(mark.y)];
      if (this.#chosen !== null && mark.ids.includes(this.#chosen)) this.#drawRing(context, mark, x, y);
      context.drawImage(this.#picture(mark, ratio), x - SIDE / 2, y - SIDE / 2, SIDE, SIDE);
    }
  }

  /** Returns the picture of a mark on a screen with so many pixels a length of one. */
  #picture(mark: DrawnMark, ratio: number): HTMLCanvasElement {
    const key = `${mark.severity} ${mark.text} ${mark.isWithdrawn} ${ratio}`;
    const known = this.#pictures.get(key);
    if (known !== undefined) return known;
    const picture = document.createElement('canvas');
    picture.width = picture.height = Math.ceil(SIDE * ratio);
    const context = picture.getContext('2d');
    if (context === null) return picture;
    context.scale(ratio, ratio);
    context.font = `700 ${FONT_SIZE}px ${this.font}`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    this.#paint(context, mark);
    this.#pictures.set(key, picture);
    return picture;
  }

  #groups(): Group[] {
    const scale = this.#chart?.timeScale();
    const visible = scale?.getVisibleRange() ?? null;
    if (scale === undefined || visible === null || this.#marked.length === 0) return [];
    const [from, to] = [Number(visible.from), Number(visible.to)];
    const seen = this.#marked.filter(({ bar }) => bar.start >= from && bar.start <= to);
    return groupMarks(seen, (bar) => scale.timeToCoordinate(chartTime(bar.start)), DISTANCE);
  }

  #place({ x, bars, anomalies }: Group): DrawnMark {
    const high = Math.max(...bars.map(({ start, high: held }) => this.highOf(start) ?? held));
    const y = this.candles.priceToCoordinate(high);
    const [first] = anomalies;
    return {
      ids: anomalies.map(({ id }) => id),
      x,
      y: Math.max(TOP, (y ?? 0) - ABOVE),
      text: anomalies.length === 1 && first !== undefined ? typeLetter(first.type) : anomalies.length > 99 ? '99+' : String(anomalies.length),
      severity: worst(anomalies),
      isWithdrawn: anomalies.every(isWithdrawn),
    };
  }

  #drawRing(context: CanvasRenderingContext2D, { severity }: DrawnMark, x: number, y: number): void {
    outline(context, isDiamond(severity), x, y, RADIUS + 3);
    context.lineWidth = 2;
    context.strokeStyle = this.palette.text;
    context.stroke();
  }

  #paint(context: CanvasRenderingContext2D, { text, severity, isWithdrawn: isGone }: DrawnMark): void {
    const [x, y] = [SIDE / 2, SIDE / 2];
    const color = this.palette.severities[severity];
    outline(context, isDiamond(severity), x, y, RADIUS);
    context.fillStyle = isGone ? this.palette.ground : color;
    context.fill();
    context.lineWidth = 1.5;
    context.strokeStyle = color;
    context.stroke();
    context.fillStyle = isGone ? color : this.palette.ground;
    context.fillText(text, x, y + 0.5);
    if (!isGone) return;
    context.beginPath();
    context.moveTo(x - RADIUS, y + RADIUS);
    context.lineTo(x + RADIUS, y - RADIUS);
    context.stroke();
  }
}

function isWithdrawn({ state }: Anomaly): boolean {
  return state === 'withdrawn';
}

function isDiamond(severity: Severity): boolean {
  return severity === 'high' || severity === 'critical';
}

function outline(context: CanvasRenderingContext2D, diamond: boolean, x: number, y: number, radius: number): void {
  context.beginPath();
  if (diamond) {
    const half = radius * 1.25;
    context.moveTo(x, y - half);
    context.lineTo(x + half, y);
    context.lineTo(x, y + half);
    context.lineTo(x - half, y);
    context.closePath();
  } else context.arc(x, y, radius, 0, 2 * Math.PI);
}
