/**
 * Colour between two curves, or between a curve and a level: the inside of the Bollinger bands, and what of the RSI lies
 * beyond a zone. Only what is on the screen is drawn.
 */

import type { IChartApiBase, IPrimitivePaneView, ISeriesApi, ISeriesPrimitive, SeriesAttachedParameter, SeriesType } from 'lightweight-charts';
import type { EpochSeconds } from '../../helpers/nominal';
import type { Bar } from '../../model/bar';
import { chartTime } from './points';

export interface FillOptions {
  /** The bars from one time to another, and one beyond each. */
  readonly bars: (from: EpochSeconds, to: EpochSeconds) => readonly Bar[];
  /** The two prices at a bar; `null` where there is nothing to fill. */
  readonly edges: (bar: Bar) => readonly [top: number, bottom: number] | null;
  /** True when the curve does not go on behind a bar. */
  readonly isBroken: (bar: Bar) => boolean;
  readonly color: () => string;
  /** Fills only above a price, or only below one; everywhere by default. */
  readonly only?: { readonly side: 'above' | 'below'; readonly price: number };
}

interface Corner {
  readonly x: number;
  readonly top: number;
  readonly bottom: number;
}

export class Fill implements ISeriesPrimitive {
  #chart: IChartApiBase | undefined;
  #series: ISeriesApi<SeriesType> | undefined;
  readonly #views: readonly IPrimitivePaneView[] = [
    {
      zOrder: () => 'bottom',
      renderer: () => ({
        draw: (target) => {
          target.useMediaCoordinateSpace(({ context, mediaSize }) => {
            this.#draw(context, mediaSize.width, mediaSize.height);
          });
        },
      }),
    },
  ];

  constructor(private readonly options: FillOptions) {}

  attached({ chart, series }: SeriesAttachedParameter): void {
    this.#chart = chart;
    this.#series = series;
  }

  detached(): void {
    this.#chart = undefined;
    this.#series = undefined;
  }

  paneViews(): readonly IPrimitivePaneView[] {
    return this.#views;
  }

  #draw(context: CanvasRenderingContext2D, width: number, height: number): void {
    const { only, color } = this.options;
    context.save();
    context.beginPath();
    if (only !== undefined) {
      const level = this.#series?.priceToCoordinate(only.price) ?? null;
      if (level === null) {
        context.restore();
        return;
      }
      if (only.side === 'above') context.rect(0, 0, width, level);
      else context.rect(0, level, width, height - level);
      context.clip();
    }
    context.fillStyle = color();
    for (const corners of this.#pieces()) {
      context.beginPath();
      for (const { x, top } of corners) context.lineTo(x, top);
      for (const { x, bottom } of corners.reverse()) context.lineTo(x, bottom);
      context.closePath();
      context.fill();
    }
    context.restore();
  }

  /** The unbroken pieces on the screen. */
  #pieces(): Corner[][] {
    const scale = this.#chart?.timeScale();
    const series = this.#series;
    const visible = scale?.getVisibleRange() ?? null;
    if (scale === undefined || series === undefined || visible === null) return [];
    const pieces: Corner[][] = [];
    let piece: Corner[] = [];
    const end = (): void => {
      if (piece.length > 1) pieces.push(piece);
      piece = [];
    };
    for (const bar of this.options.bars(Number(visible.from) as EpochSeconds, Number(visible.to) as EpochSeconds)) {
      const edges = this.options.edges(bar);
      const x = scale.timeToCoordinate(chartTime(bar.start));
      const top = edges === null ? null : series.priceToCoordinate(edges[0]);
      const bottom = edges === null ? null : series.priceToCoordinate(edges[1]);
      if (x === null || top === null || bottom === null) {
        end();
        continue;
      }
      piece.push({ x, top, bottom });
      if (this.options.isBroken(bar)) end();
    }
    end();
    return pieces;
  }
}
