/**
 * The list of anomalies beside the chart, and the evidence of the one that is chosen. What is on the screen is listed, or what
 * a mark stands for; a step goes through all that are known, and takes the chart along.
 */

import { counted, fixed } from '../helpers/format';
import { instantText } from '../helpers/time';
import type { Zone } from '../helpers/zone';
import type { Anomaly } from '../model/anomalies';
import { evidenceRows, momentText, sentence, typeLabel, typeLetter } from '../model/anomaly-texts';
import type { Store } from '../model/store';
import { element, setText } from './dom';

/** Rows in the document at most. */
const ROWS_MAX = 200;

export interface AnomalyListener {
  /** Those on the screen, ascending by time. */
  shown(): readonly Anomaly[];
  /** Marks the chosen one; `isFar` asks for the chart to go there. */
  chosen(anomaly: Anomaly | null, isFar: boolean): void;
  /** The list was closed by its own means. */
  closed(): void;
  /** Reads a text to whoever listens. */
  speak(text: string): void;
}

export class AnomalyView {
  readonly #title = element('h2', { id: 'anomalies-title', tabindex: '-1' }, 'Anomalies');
  readonly #count = element('p', { class: 'system-note' });
  readonly #note = element('p', { class: 'anomaly-note', role: 'status' });
  readonly #all = element('button', { type: 'button', class: 'anomaly-all' }, 'All on the screen');
  readonly #list = element('ul', { class: 'anomaly-list', 'aria-label': 'Anomalies, newest first' });
  readonly #evidence = element('dl', { class: 'anomaly-evidence' });
  readonly #detail = element('div', { class: 'anomaly-detail', tabindex: '0', role: 'group', 'aria-label': 'Evidence' }, this.#evidence);
  readonly #rows = new Map<string, { readonly root: HTMLElement; readonly button: HTMLButtonElement; drawn: string }>();
  /** What a mark stands for; `null` lists what is on the screen. */
  #group: ReadonlySet<string> | null = null;
  #chosen: string | null = null;
  #order = '';

  constructor(
    private readonly root: HTMLElement,
    private readonly store: Store,
    private readonly zone: () => Zone,
    private readonly listener: AnomalyListener,
  ) {
    const step = (text: string, title: string, by: number): HTMLElement => {
      const button = element('button', { type: 'button', class: 'anomaly-step', title, 'aria-label': title }, text);
      button.addEventListener('click', () => {
        this.step(by);
      });
      return button;
    };
    const close = element('button', { type: 'button', class: 'icon', 'aria-label': 'Close the anomalies' }, '×');
    root.append(
      element('div', { class: 'anomaly-head' }, this.#title, this.#count, step('‹', 'Previous anomaly (,)', -1), step('›', 'Next anomaly (.)', 1), close),
      this.#note,
      this.#all,
      element('div', { class: 'anomaly-scroll', tabindex: '0', role: 'group', 'aria-label': 'Anomalies, scrolls' }, this.#list),
      this.#detail,
    );
    close.addEventListener('click', () => {
      listener.closed();
    });
    this.#all.addEventListener('click', () => {
      this.#group = null;
      this.draw();
    });
    root.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      event.stopPropagation();
      listener.closed();
    });
  }

  get isOpen(): boolean {
    return !this.root.hidden;
  }

  /** Opens the list, of what a mark stands for where ids are given. */
  open(ids?: readonly string[]): void {
    this.root.hidden = false;
    this.#group = ids === undefined || ids.length < 2 ? null : new Set(ids);
    const known = ids?.map((id) => this.store.anomalies.at(id)).filter((anomaly) => anomaly !== undefined) ?? [];
    const first = known.at(-1) ?? (this.#chosen === null ? undefined : this.store.anomalies.at(this.#chosen)) ?? this.listener.shown().at(-1);
    this.#choose(first ?? null, false);
    this.#title.focus();
  }

  close(): void {
    this.root.hidden = true;
    this.#group = null;
    this.#chosen = null;
    this.listener.chosen(null, false);
  }

  /** Goes to the next anomaly, or a number of them back; opens the list where it is closed. */
  step(by: number): void {
    const { list } = this.store.anomalies;
    const at = this.#chosen === null ? -1 : list.findIndex(({ id }) => id === this.#chosen);
    // From nowhere, back leads to the newest on the screen, and forward to the oldest there.
    const shown = this.listener.shown();
    const next = at >= 0 ? list[at + by] : by < 0 ? (shown.at(-1) ?? list.at(-1)) : (shown[0] ?? list[0]);
    if (next === undefined) {
      this.listener.speak(list.length === 0 ? 'No anomalies are known' : by < 0 ? 'No anomaly before' : 'No anomaly after');
      if (list.length === 0 && !this.isOpen) this.open();
      return;
    }
    if (!this.isOpen) this.root.hidden = false;
    if (this.#group?.has(next.id) === false) this.#group = null;
    this.#choose(next, true);
  }

  /** Another symbol or window is shown. */
  reset(): void {
    this.#group = null;
    this.#chosen = null;
    this.listener.chosen(null, false);
    this.draw();
  }

  draw(): void {
    if (!this.isOpen) return;
    const listed = this.#listed();
    this.#drawRows(listed.slice(-ROWS_MAX).reverse());
    setText(this.#count, this.#countText(listed.length));
    this.#all.hidden = this.#group === null;
    const note = this.#noteText(listed.length);
    setText(this.#note, note);
    this.#note.hidden = note === '';
    this.#drawEvidence();
  }

  /** What is shown, for tests. */
  texts(): Record<string, unknown> {
    const rows = [...this.#list.children].map((row) => (row instanceof HTMLElement ? row.innerText.replaceAll(/\s+/g, ' ').trim() : ''));
    const terms = [...this.#evidence.querySelectorAll('dt')].map((term) => [term.textContent, term.nextElementSibling?.textContent ?? '']);
    return { count: this.#count.textContent, note: this.#note.textContent, rows, chosen: this.#chosen, evidence: Object.fromEntries(terms) as Record<string, string> };
  }

  #listed(): readonly Anomaly[] {
    const group = this.#group;
    return group === null ? this.listener.shown() : this.store.anomalies.list.filter(({ id }) => group.has(id));
  }

  #countText(count: number): string {
    if (this.#group !== null) return `${fixed(count, 0)} at this place`;
    return count > ROWS_MAX ? `the newest ${ROWS_MAX} of ${fixed(count, 0)} on the screen` : `${fixed(count, 0)} on the screen`;
  }

  #noteText(count: number): string {
    const { anomalies, anomalyFault, series } = this.store;
    if (anomalyFault !== '') return `Not loaded: ${anomalyFault}. The page asks again after the next connection, or when another symbol is chosen.`;
    if (anomalies.from === null) return 'Loading…';
    const { oldest } = series;
    if (anomalies.isFull && oldest !== undefined && anomalies.from > oldest.start) return `Those before ${instantText(anomalies.from, this.zone())} are not loaded: there are too many.`;
    if (count > 0) return '';
    return anomalies.size === 0 ? 'None was found in the bars of this chart.' : `None on the screen; ${counted(anomalies.size, 'is', 'are')} elsewhere: step to them, or scroll.`;
  }

  #drawRows(anomalies: readonly Anomaly[]): void {
    const zone = this.zone();
    const order = anomalies.map(({ id }) => id).join('\n');
    const kept = new Set<string>();
    for (const anomaly of anomalies) {
      kept.add(anomaly.id);
      const row = this.#rows.get(anomaly.id) ?? this.#makeRow(anomaly.id);
      const drawn = `${anomaly.evidence.revision} ${anomaly.state} ${anomaly.severity} ${zone.id} ${anomaly.description}`;
      if (row.drawn !== drawn) {
        row.drawn = drawn;
        fillRow(row.button, anomaly, zone);
      }
      row.button.setAttribute('aria-current', String(anomaly.id === this.#chosen));
    }
    for (const id of this.#rows.keys()) if (!kept.has(id)) this.#rows.delete(id);
    if (order === this.#order) return;
    this.#order = order;
    // An element that moves loses the focus.
    const focused = document.activeElement;
    this.#list.replaceChildren(...anomalies.map(({ id }) => this.#rows.get(id)?.root).filter((root) => root !== undefined));
    if (focused instanceof HTMLElement && this.#list.contains(focused) && document.activeElement !== focused) focused.focus({ preventScroll: true });
  }

  #makeRow(id: string): { root: HTMLElement; button: HTMLButtonElement; drawn: string } {
    const button = element('button', { type: 'button', class: 'anomaly-row' });
    button.addEventListener('click', () => {
      const anomaly = this.store.anomalies.at(id);
      if (anomaly !== undefined) this.#choose(anomaly, true);
    });
    const row = { root: element('li', {}, button), button, drawn: '' };
    this.#rows.set(id, row);
    return row;
  }

  #drawEvidence(): void {
    const anomaly = this.#chosen === null ? undefined : this.store.anomalies.at(this.#chosen);
    this.#detail.hidden = anomaly === undefined;
    if (anomaly === undefined) return;
    const rows = evidenceRows(anomaly, this.zone());
    const drawn = JSON.stringify(rows);
    if (this.#evidence.dataset['drawn'] === drawn) return;
    this.#evidence.dataset['drawn'] = drawn;
    this.#evidence.replaceChildren(...rows.map(([name, text]) => element('div', {}, element('dt', {}, name), element('dd', {}, text))));
  }

  #choose(anomaly: Anomaly | null, isFar: boolean): void {
    this.#chosen = anomaly?.id ?? null;
    this.listener.chosen(anomaly, isFar);
    this.draw();
    if (anomaly === null) return;
    this.#rows.get(anomaly.id)?.root.scrollIntoView({ block: 'nearest' });
    this.listener.speak(sentence(anomaly, this.zone()));
  }
}

function fillRow(button: HTMLElement, anomaly: Anomaly, zone: Zone): void {
  const { type, severity, state, description, time } = anomaly;
  button.dataset['state'] = state;
  const word = state === 'active' ? severity : `${severity} · ${state}`;
  button.replaceChildren(
    element('span', { class: 'anomaly-mark', 'data-severity': severity, 'data-state': state, 'aria-hidden': 'true' }, typeLetter(type)),
    element('span', { class: 'anomaly-type' }, typeLabel(type)),
    ' ',
    element('span', { class: 'anomaly-word' }, word),
    ' ',
    element('span', { class: 'anomaly-time' }, momentText(time, zone)),
    ' ',
    element(state === 'withdrawn' ? 's' : 'span', { class: 'anomaly-said' }, description),
  );
}
