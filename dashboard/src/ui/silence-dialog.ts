/** Asks what nobody is to be told of, and for how long: a silence always ends. */

import type { EpochMillis } from '../helpers/nominal';
import { namesIn, type NewSilence } from '../model/alerts';
import { SEVERITIES } from '../model/anomalies';
import { typeLabel } from '../model/anomaly-texts';
import { element, setText } from './dom';
import { refusalText } from './refusal';

/** How long a silence may last, in minutes. */
const LENGTHS: readonly (readonly [minutes: number, text: string])[] = [
  [15, '15 minutes'],
  [60, '1 hour'],
  [240, '4 hours'],
  [1440, '1 day'],
  [10_080, '1 week'],
];

export class SilenceDialog {
  readonly #symbols = element('input', { id: 'silence-symbols', placeholder: 'all; BTC-* for all that begin so', maxlength: '2000', autocomplete: 'off' });
  readonly #types: HTMLSelectElement;
  readonly #severity = element('select', { id: 'silence-severity' }, ...SEVERITIES.map((severity) => element('option', { value: severity }, severity)));
  readonly #length = element('select', { id: 'silence-length' }, ...LENGTHS.map(([minutes, text]) => element('option', { value: String(minutes) }, text)));
  readonly #comment = element('input', { id: 'silence-comment', maxlength: '64', placeholder: 'why', autocomplete: 'off' });
  readonly #problem = element('p', { class: 'problem', role: 'alert' });
  readonly #make = element('button', { type: 'submit', class: 'primary' }, 'Silence');
  readonly #dialog: HTMLDialogElement;

  /** @param make makes the silence; rejects with the server's refusal */
  constructor(
    types: readonly string[],
    private readonly now: () => EpochMillis,
    private readonly make: (silence: NewSilence) => Promise<void>,
  ) {
    this.#types = element('select', { id: 'silence-type' }, element('option', { value: '' }, 'all types'), ...types.map((type) => element('option', { value: type }, typeLabel(type))));
    const close = element('button', { type: 'button', class: 'icon', 'aria-label': 'Close' }, '×');
    const field = (label: string, control: HTMLElement): HTMLElement => element('div', { class: 'silence-field' }, element('label', { for: control.id }, label), control);
    const form = element(
      'form',
      { method: 'dialog' },
      field('Symbols', this.#symbols),
      field('Type', this.#types),
      field('Up to severity', this.#severity),
      field('Ends after', this.#length),
      field('Comment', this.#comment),
      this.#problem,
      element('div', { class: 'silence-acts' }, this.#make),
    );
    this.#dialog = element('dialog', { class: 'help silence-dialog', 'aria-labelledby': 'silence-title' }, element('div', { class: 'help-head' }, element('h2', { id: 'silence-title' }, 'New silence'), close), form);
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

  /** Proposes a silence of these symbols and types. */
  open({ symbols, types: [type = ''] }: Pick<NewSilence, 'symbols' | 'types'>): void {
    if (this.#dialog.open) return;
    if (![...this.#types.options].some(({ value }) => value === type)) this.#types.append(element('option', { value: type }, typeLabel(type)));
    this.#symbols.value = symbols.join(', ');
    this.#types.value = type;
    this.#severity.value = 'critical';
    this.#length.value = '60';
    this.#comment.value = '';
    setText(this.#problem, '');
    this.#dialog.showModal();
    this.#length.focus();
  }

  async #submit(): Promise<void> {
    this.#make.disabled = true;
    setText(this.#problem, '');
    try {
      await this.make({
        symbols: namesIn(this.#symbols.value),
        types: this.#types.value === '' ? [] : [this.#types.value],
        maxSeverity: SEVERITIES.find((severity) => severity === this.#severity.value) ?? 'critical',
        end: (this.now() + Number(this.#length.value) * 60_000) as EpochMillis,
        comment: this.#comment.value.trim(),
      });
      this.#dialog.close();
    } catch (error) {
      setText(this.#problem, refusalText(error));
    } finally {
      this.#make.disabled = false;
    }
  }
}
