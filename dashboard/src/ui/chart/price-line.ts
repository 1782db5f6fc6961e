/**
 * The line and the label at the price now. The library's own label shows the last bar on the screen, which is another one
 * once the user has scrolled back, and takes the colour of a hollow bar, which is the chart's ground.
 *
 * Promises: line and label stand at the price that the header shows, wherever the chart is scrolled to.
 */

import { type IPriceLine, type ISeriesApi, LineStyle } from 'lightweight-charts';

interface Drawn {
  readonly price: number;
  readonly color: string;
}

export class PriceLine {
  #line: IPriceLine | null = null;
  #drawn: Drawn | null = null;

  constructor(private readonly candles: ISeriesApi<'Candlestick'>) {}

  get drawn(): Drawn | null {
    return this.#drawn;
  }

  /** Draws the line at a price; `null` for none. */
  draw(price: number | null, color: string): void {
    if (price === this.#drawn?.price && color === this.#drawn.color) return;
    if (price === null) {
      if (this.#line !== null) this.candles.removePriceLine(this.#line);
      this.#line = null;
      this.#drawn = null;
      return;
    }
    const options = { price, color, axisLabelColor: color };
    if (this.#line === null) this.#line = this.candles.createPriceLine({ ...options, lineWidth: 1, lineStyle: LineStyle.Dotted, axisLabelVisible: true, title: '' });
    else this.#line.applyOptions(options);
    this.#drawn = { price, color };
  }
}
