/**
 * The controls below the chart: a date to go to, the zone of all times, the logarithmic scale, and ways to take the chart
 * along (CSV, a picture) or to see it alone (full screen).
 */

import type { Zone } from '../helpers/zone';
import { exchangeZone, ZONE_CHOICES, type ZoneChoice } from '../model/zones';
import { element, setText } from './dom';

export interface ToolActions {
  readonly askDate: () => void;
  readonly setZone: (choice: ZoneChoice) => void;
  readonly setLogarithmic: (isLogarithmic: boolean) => void;
  readonly saveCsv: () => void;
  readonly savePicture: () => void;
  readonly toggleFullScreen: () => void;
  readonly toggleAnomalies: () => void;
}

export interface ToolState {
  readonly zone: ZoneChoice;
  /** The reader's zone. */
  readonly local: Zone;
  readonly assetClass: string | undefined;
  readonly isLogarithmic: boolean;
}

export class Tools {
  readonly #zones = element('select', { 'aria-label': 'Time zone', title: 'Time zone' });
  readonly #anomalies: HTMLButtonElement;
  readonly #numAnomalies = element('span', { class: 'tools-count' });
  readonly #log: HTMLButtonElement;
  readonly #full: HTMLButtonElement;

  constructor(root: HTMLElement, actions: ToolActions) {
    const button = (text: string, title: string, run: () => void): HTMLButtonElement => {
      const made = element('button', { type: 'button', title }, text);
      made.addEventListener('click', run);
      return made;
    };
    for (const choice of ZONE_CHOICES) this.#zones.append(element('option', { value: choice }));
    this.#zones.addEventListener('change', () => {
      const choice = ZONE_CHOICES.find((each) => each === this.#zones.value);
      if (choice !== undefined) actions.setZone(choice);
    });
    this.#log = button('Log', 'Logarithmic price scale (l)', () => {
      actions.setLogarithmic(this.#log.getAttribute('aria-pressed') !== 'true');
    });
    this.#full = button('Full screen', 'The chart alone on the whole screen (f)', actions.toggleFullScreen);
    this.#anomalies = button('Anomalies', 'Anomalies of the bars on the screen, with their evidence (a)', actions.toggleAnomalies);
    this.#anomalies.append(' ', this.#numAnomalies);
    this.showAnomalies(0, false);
    root.append(
      button('Go to date', 'Go to a date and time (g)', actions.askDate),
      this.#anomalies,
      element('span', { class: 'spacer' }),
      this.#zones,
      this.#log,
      button('CSV', 'Save the bars on the screen as CSV', actions.saveCsv),
      button('Picture', 'Save the chart as a picture', actions.savePicture),
      this.#full,
    );
    // A browser that cannot do it (a phone's, mostly) gets no button that does nothing.
    this.#full.hidden = !document.fullscreenEnabled;
    this.#full.setAttribute('aria-pressed', 'false');
    document.addEventListener('fullscreenchange', () => {
      this.#full.setAttribute('aria-pressed', String(document.fullscreenElement !== null));
    });
  }

  /** Shows how many anomalies are on the screen, and whether their list is open. */
  showAnomalies(count: number, isOpen: boolean): void {
    setText(this.#numAnomalies, count === 0 ? '' : String(count));
    this.#anomalies.setAttribute('aria-pressed', String(isOpen));
  }

  show({ zone, local, assetClass, isLogarithmic }: ToolState): void {
    const exchange = exchangeZone(assetClass);
    const texts: Readonly<Record<ZoneChoice, string>> = { utc: 'UTC', exchange: `Exchange (${exchange.place})`, local: `Local (${local.place})` };
    for (const option of this.#zones.options) {
      const choice = ZONE_CHOICES.find((each) => each === option.value);
      if (choice !== undefined) option.textContent = texts[choice];
    }
    this.#zones.value = zone;
    this.#log.setAttribute('aria-pressed', String(isLogarithmic));
  }
}
