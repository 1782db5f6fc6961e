/** Asks for a date and time to go to, by the wall clock of the zone that the page shows. */

import { element, setText } from './dom';

export class DateDialog {
  readonly #input = element('input', { type: 'datetime-local', id: 'date', required: '' });
  readonly #zone = element('span', { class: 'label' });
  readonly #problem = element('p', { class: 'problem', role: 'alert' });
  readonly #go = element('button', { type: 'submit', class: 'primary' }, 'Go');
  readonly #dialog: HTMLDialogElement;

  /**
   * @param go goes to a wall clock time in seconds, as if it were UTC; returns why it cannot, or nothing
   * @param went called when it has gone there, and the dialog is closed
   */
  constructor(
    private readonly go: (wall: number) => Promise<string>,
    private readonly went: () => void,
  ) {
    const close = element('button', { type: 'button', class: 'icon', 'aria-label': 'Close' }, '×');
    const form = element(
      'form',
      { method: 'dialog' },
      element('label', { for: 'date' }, 'Date and time ', this.#zone),
      element('div', { class: 'date-row' }, this.#input, this.#go),
      this.#problem,
    );
    this.#dialog = element(
      'dialog',
      { class: 'help date-dialog', 'aria-labelledby': 'date-title' },
      element('div', { class: 'help-head' }, element('h2', { id: 'date-title' }, 'Go to date'), close),
      form,
    );
    document.body.append(this.#dialog);
    close.addEventListener('click', () => {
      this.#dialog.close();
    });
    this.#dialog.addEventListener('click', (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#submit();
    });
  }

  /**
   * @param wall what is proposed: a wall clock whose UTC fields are read
   * @param zone abbreviation of the zone
   */
  open(wall: Date, zone: string): void {
    if (this.#dialog.open) return;
    this.#input.value = wall.toISOString().slice(0, 16);
    setText(this.#zone, `(${zone})`);
    setText(this.#problem, '');
    this.#dialog.showModal();
    this.#input.focus();
  }

  async #submit(): Promise<void> {
    const wall = Date.parse(`${this.#input.value}Z`);
    if (Number.isNaN(wall)) return;
    this.#go.disabled = true;
    setText(this.#problem, '');
    try {
      const problem = await this.go(wall / 1000);
      setText(this.#problem, problem);
      if (problem !== '') return;
      this.#dialog.close();
      this.went();
    } catch (error) {
      // Another symbol or window was chosen meanwhile: the date was another chart's.
      if (!(error instanceof DOMException)) throw error;
      this.#dialog.close();
    } finally {
      this.#go.disabled = false;
    }
  }
}
