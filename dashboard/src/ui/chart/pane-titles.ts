/**
 * Names and values of the panes below the chart, in their upper left corners. They are for the eye alone: the legend has
 * the same values for everybody else.
 */

import type { IPaneApi, Time } from 'lightweight-charts';
import type { IndicatorName } from '../../model/indicators';
import { element, setText } from '../dom';
import { indicatorsOf, type PaneName, PLOTS } from './plots';

const LABELS: Readonly<Record<PaneName, string>> = { rsi: 'RSI 14', macd: 'MACD 12 26 9' };

export interface TitledPane {
  readonly name: PaneName;
  readonly pane: IPaneApi<Time> | undefined;
}

interface Title {
  readonly root: HTMLElement;
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

  constructor(private readonly container: HTMLElement) {}

  show(panes: readonly TitledPane[]): void {
    this.#observer.disconnect();
    for (const { root } of this.#titles) root.remove();
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
      const rows = panes.map(({ name, pane }) => ({ name, row: pane?.getHTMLElement() ?? null }));
      if (rows.some(({ row }) => row === null)) {
        this.#addOnceDrawn(panes, shown);
        return;
      }
      for (const { name, row } of rows) if (row !== null) this.#add(name, row);
      this.setTexts(this.#texts);
      this.#place();
    });
  }

  #add(name: PaneName, pane: HTMLElement): void {
    const values = new Map<IndicatorName, HTMLElement>();
    const root = element('div', { class: 'pane-title', 'aria-hidden': 'true' }, LABELS[name]);
    for (const indicator of indicatorsOf(name)) {
      const value = element('span');
      if (PLOTS[indicator].kind === 'line') value.style.color = `var(--${PLOTS[indicator].color})`;
      values.set(indicator, value);
      root.append(' ', value);
    }
    this.container.append(root);
    this.#titles.push({ root, values, pane });
    this.#observer.observe(pane);
  }

  #place(): void {
    const top = this.container.getBoundingClientRect().top;
    for (const { root, pane } of this.#titles) root.style.top = `${pane.getBoundingClientRect().top - top}px`;
  }
}
