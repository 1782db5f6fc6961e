/**
 * Names and values of the panes below the chart, in their upper left corners. They are for the eye alone: the legend has
 * the same values for everybody else. The upper edge of each, which the pointer drags, takes the keyboard's focus as well, and
 * arrow keys move it.
 */

import type { IChartApi, IPaneApi, Time } from 'lightweight-charts';
import type { IndicatorName } from '../../model/indicators';
import { element, setText } from '../dom';
import { indicatorsOf, type PaneName, PLOTS } from './plots';

const LABELS: Readonly<Record<PaneName, string>> = { rsi: 'RSI 14', macd: 'MACD 12 26 9' };

/** Pixels by which a key moves an edge. */
const STEP = 16;
/** Least height that keys leave a pane and the one above it: what the library leaves them under the pointer. */
const HEIGHT_MIN = 30;

export interface TitledPane {
  readonly name: PaneName;
  readonly pane: IPaneApi<Time> | undefined;
}

interface Title {
  readonly root: HTMLElement;
  readonly edge: HTMLElement;
  readonly values: ReadonlyMap<IndicatorName, HTMLElement>;
  readonly pane: HTMLElement;
}

export class PaneTitles {
  #titles: Title[] = [];
  #texts: Readonly<Record<string, string>> = {};
  /** Counts the calls of [show]: only the last one counts. */
  #shown = 0;
  /** Panes move when one is dragged, and with the size of the page. */
  readonly #observer = new ResizeObserver(() => {
    this.#place();
  });

  constructor(
    private readonly chart: IChartApi,
    private readonly container: HTMLElement,
  ) {}

  show(panes: readonly TitledPane[]): void {
    this.#observer.disconnect();
    for (const { root, edge } of this.#titles) {
      root.remove();
      edge.remove();
    }
    this.#titles = [];
    this.#shown += 1;
    this.#addOnceDrawn(panes, this.#shown);
  }

  setTexts(texts: Readonly<Record<string, string>>): void {
    this.#texts = texts;
    for (const { values } of this.#titles) for (const [name, value] of values) setText(value, texts[name] ?? '');
  }

  /** The library makes the elements of new panes when it next draws. */
  #addOnceDrawn(panes: readonly TitledPane[], shown: number): void {
    if (panes.length === 0) return;
    requestAnimationFrame(() => {
      if (shown !== this.#shown) return;
      const rows = panes.map(({ name, pane }) => ({ name, pane, row: pane?.getHTMLElement() ?? null }));
      if (rows.some(({ row }) => row === null)) {
        this.#addOnceDrawn(panes, shown);
        return;
      }
      for (const { name, pane, row } of rows) if (row !== null && pane !== undefined) this.#add(name, pane, row);
      this.setTexts(this.#texts);
      this.#place();
    });
  }

  #add(name: PaneName, api: IPaneApi<Time>, pane: HTMLElement): void {
    const values = new Map<IndicatorName, HTMLElement>();
    const root = element('div', { class: 'pane-title', 'aria-hidden': 'true' }, LABELS[name]);
    for (const indicator of indicatorsOf(name)) {
      const value = element('span');
      if (PLOTS[indicator].kind === 'line') value.style.color = `var(--${PLOTS[indicator].color})`;
      values.set(indicator, value);
      root.append(' ', value);
    }
    const edge = element('div', { class: 'pane-edge', role: 'separator', tabindex: '0', 'aria-orientation': 'horizontal', 'aria-label': `Height of ${LABELS[name]}`, 'aria-valuemin': '0', 'aria-valuemax': '100' });
    edge.addEventListener('keydown', (event) => {
      const step = event.key === 'ArrowUp' ? STEP : event.key === 'ArrowDown' ? -STEP : 0;
      if (step === 0 || event.ctrlKey || event.metaKey || event.altKey) return;
      // Elsewhere on the page arrows choose another symbol.
      event.preventDefault();
      event.stopPropagation();
      this.#resize(api, step);
    });
    this.container.append(root, edge);
    this.#titles.push({ root, edge, values, pane });
    this.#observer.observe(pane);
  }

  /** Gives a pane more or less height, which the one above it has less or more. */
  #resize(pane: IPaneApi<Time>, step: number): void {
    const above = this.chart.panes()[pane.paneIndex() - 1];
    if (above === undefined) return;
    const [height, heightAbove] = [pane.getHeight(), above.getHeight()];
    const moved = Math.max(HEIGHT_MIN - height, Math.min(heightAbove - HEIGHT_MIN, step));
    if (moved === 0) return;
    // Heights of all others stay: the two share what they had.
    const factor = (pane.getStretchFactor() + above.getStretchFactor()) / (height + heightAbove);
    pane.setStretchFactor(factor * (height + moved));
    above.setStretchFactor(factor * (heightAbove - moved));
  }

  #place(): void {
    const top = this.container.getBoundingClientRect().top;
    const whole = this.container.clientHeight;
    for (const { root, edge, pane } of this.#titles) {
      const bounds = pane.getBoundingClientRect();
      root.style.top = `${bounds.top - top}px`;
      edge.style.top = root.style.top;
      edge.setAttribute('aria-valuenow', String(Math.round((bounds.height / Math.max(1, whole)) * 100)));
      edge.setAttribute('aria-valuetext', `${Math.round(bounds.height)} pixels`);
    }
  }
}
