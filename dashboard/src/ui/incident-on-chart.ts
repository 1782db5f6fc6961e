/**
 * The way from an incident to its bar on the chart: the bars of its symbol, and older ones, may have to be loaded first. It ends
 * with the evidence of the anomaly, or when the reader goes elsewhere.
 */

import type { EpochMillis, EpochSeconds } from '../helpers/nominal';
import { toSeconds } from '../helpers/time';
import type { Incident } from '../model/alerts';
import type { Store } from '../model/store';

export interface IncidentActions {
  /** True while the chart is what the reader looks at. */
  isSeen(): boolean;
  /** Goes to a time; returns why it cannot, or nothing. */
  goTo(time: EpochSeconds): Promise<string>;
  /** Shows the evidence of an anomaly. */
  open(id: string): void;
  say(text: string): void;
}

export class IncidentOnChart {
  #incident: Incident | null = null;
  /** True once the chart was told where to go. */
  #isOnTheWay = false;

  constructor(
    private readonly store: Store,
    private readonly actions: IncidentActions,
  ) {}

  /** Begins; its symbol is selected. */
  show(incident: Incident): void {
    this.#incident = incident;
    this.#isOnTheWay = false;
    this.draw();
  }

  /** Goes on, after bars or anomalies have come. */
  draw(): void {
    const { selection, history, anomalies } = this.store;
    if (this.#incident === null) return;
    const { symbol, id, time } = this.#incident;
    if (selection?.symbol !== symbol || !this.actions.isSeen()) {
      this.#incident = null;
      return;
    }
    if (!this.#isOnTheWay && history === 'ready') {
      this.#isOnTheWay = true;
      // What a bar showed has the end of its window as its time.
      void this.#go(toSeconds((time - 1) as EpochMillis));
    }
    if (!this.#isOnTheWay || anomalies.at(id) === undefined) return;
    this.#incident = null;
    this.actions.open(id);
  }

  async #go(time: EpochSeconds): Promise<void> {
    try {
      const problem = await this.actions.goTo(time);
      if (problem !== '') this.actions.say(problem);
    } catch (error) {
      // Another symbol or window was chosen meanwhile.
      if (!(error instanceof DOMException)) throw error;
    }
  }
}
