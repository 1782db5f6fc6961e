/** The chart without a mouse: keys move the crosshair and the view, and the bar under the crosshair is read to whoever listens. */

import { spanText } from '../helpers/time';
import { typeLabel } from '../model/anomaly-texts';
import type { BarChart } from './chart';
import { CAUSE_TEXTS } from './chart/stretch-marks';
import { byId, setText } from './dom';
import type { Legend } from './legend';

export class ChartKeyboard {
  readonly #spoken = byId('spoken');

  constructor(
    private readonly chart: BarChart,
    private readonly legend: Legend,
  ) {
    byId('chart').addEventListener('keydown', (event) => {
      this.#press(event);
    });
  }

  #press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 10 : 1;
    if (event.key === 'ArrowLeft') this.chart.step(-step);
    else if (event.key === 'ArrowRight') this.chart.step(step);
    else if (event.key === 'Escape') this.chart.leave();
    else if (event.key === '+' || event.key === '=') this.chart.zoom(1.25);
    else if (event.key === '-') this.chart.zoom(0.8);
    else return;
    event.preventDefault();
    if (event.key.startsWith('Arrow')) this.speakBar();
  }

  /** Reads a text to whoever listens. */
  speak(text: string): void {
    setText(this.#spoken, text);
  }

  /** Reads the bar under the crosshair. */
  speakBar(): void {
    const { time, open, high, low, close, volume, state } = this.legend.texts();
    const before = this.chart.emptyBefore;
    const gap = before === undefined ? '' : `after ${spanText(before.to - before.from)}, ${CAUSE_TEXTS[before.cause]}: `;
    const anomalies = this.chart.heldAnomalies.map((anomaly) => `, anomaly: ${typeLabel(anomaly.type)}, ${anomaly.severity}${anomaly.state === 'active' ? '' : `, ${anomaly.state}`}`).join('');
    this.speak(`${gap}${time ?? ''}: open ${open ?? ''}, high ${high ?? ''}, low ${low ?? ''}, close ${close ?? ''}, volume ${volume ?? ''}, ${state ?? ''}${anomalies}`);
  }
}
