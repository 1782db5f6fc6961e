/**
 * The view of alerts: incidents with the decisions about each, what the reader does about them, and the silences that count.
 * A fault is shown where it arose, with what to do next; what was listed before it stays.
 */

import type { EpochMillis } from '../helpers/nominal';
import type { Zone } from '../helpers/zone';
import {
  type AlertsState,
  type Decision,
  decisionText,
  type Incident,
  INCIDENT_STATES,
  type IncidentFilter,
  needsAttention,
  type NewSilence,
  NO_FILTER,
  openText,
  STATE_TEXTS,
  toldText,
} from '../model/alerts';
import { SEVERITIES } from '../model/anomalies';
import { exactText, momentText, typeLabel, typeLetter, typeUnit } from '../model/anomaly-texts';
import type { Store } from '../model/store';
import { element, replaceRows, setText } from './dom';
import { refusalText } from './refusal';
import { SilenceDialog } from './silence-dialog';
import { SilenceList } from './silence-list';

/** Types that the server finds, by itself or by rules of a user's own. */
const TYPES = [
  'price_spike', 'volume_spike', 'rsi_overbought', 'rsi_oversold', 'rule',
  'high_latency', 'stale_feed', 'gap', 'venue_divergence', 'clock_off', 'ledger_residue', 'sink_behind',
];
/** In place of a symbol, of what is about none. */
const NO_SYMBOL = '*';

export interface AlertListener {
  /** The view was closed by its own means. */
  closed(): void;
  /** Shows an incident on the chart. */
  shown(incident: Incident): void;
  filtered(filter: IncidentFilter): void;
  /** The reader said who they are. */
  named(name: string): void;
  more(): Promise<void>;
  decisions(id: string): Promise<readonly Decision[]>;
  /** Returns what there is to say about it, or nothing. */
  acknowledge(id: string, by: string): Promise<string>;
  silence(silence: NewSilence, by: string): Promise<void>;
  endSilence(id: string): Promise<void>;
  say(text: string): void;
}

interface IncidentRow {
  readonly root: HTMLElement;
  readonly head: HTMLElement;
  readonly acknowledge: HTMLButtonElement;
  readonly chart: HTMLButtonElement;
  readonly toggle: HTMLButtonElement;
  readonly decisions: HTMLElement;
  drawn: string;
  /** What the decisions shown were asked for. */
  asked: string;
}

export class AlertView {
  readonly #open = element('p', { class: 'system-note alert-open', role: 'status' });
  readonly #status = element('p', { class: 'alert-status', role: 'status' });
  readonly #list = element('ul', { class: 'incidents' });
  readonly #more = element('button', { type: 'button', class: 'system-close' }, 'Older incidents');
  readonly #silences: SilenceList;
  readonly #name = element('input', { class: 'system-filter', maxlength: '64', placeholder: 'Your name', 'aria-label': 'Your name, for those who see what you acknowledged', autocomplete: 'nickname' });
  readonly #state = select('State', [['', 'any state'], ...INCIDENT_STATES.map((state): [string, string] => [state, STATE_TEXTS[state]])]);
  readonly #severity = select('Severity', [['', 'any severity'], ...SEVERITIES.map((severity): [string, string] => [severity, severity])]);
  readonly #type = select('Type', [['', 'any type'], ...TYPES.map((type): [string, string] => [type, typeLabel(type)])]);
  readonly #symbol = element('input', { class: 'system-filter', type: 'search', placeholder: 'Symbol', 'aria-label': 'Symbol of the incidents' });
  readonly #clear = element('button', { type: 'button', class: 'alert-button' }, 'Show all');
  readonly #rows = new Map<string, IncidentRow>();
  readonly #dialog: SilenceDialog;
  #order = '';

  /** @param now the time by the server's clock */
  constructor(
    private readonly root: HTMLElement,
    private readonly store: Store,
    private readonly zone: () => Zone,
    private readonly now: () => EpochMillis,
    name: string,
    private readonly listener: AlertListener,
  ) {
    this.#name.value = name;
    this.#dialog = new SilenceDialog(TYPES, now, (silence) => listener.silence(silence, this.#name.value.trim()));
    const close = element('button', { type: 'button', class: 'system-close' }, 'Back to the chart');
    this.#silences = new SilenceList(zone, {
      asked: () => {
        this.#dialog.open({ symbols: [], types: [] });
      },
      ended: (id) => listener.endSilence(id),
      say: (text) => {
        listener.say(text);
      },
    });
    const filters = element('div', { class: 'alert-filters', role: 'group', 'aria-label': 'Filters' }, this.#state, this.#severity, this.#type, this.#symbol, this.#clear);
    root.append(
      element('div', { class: 'system-head' }, element('h2', { id: 'alerts-title', tabindex: '-1' }, 'Alerts'), this.#open, close),
      element('section', { class: 'system-card system-wide', 'aria-label': 'Incidents' }, element('div', { class: 'system-card-head' }, element('h3', {}, 'Incidents'), this.#name), filters, this.#status, this.#list, this.#more),
      this.#silences.root,
    );
    close.addEventListener('click', () => {
      listener.closed();
    });
    root.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') listener.closed();
    });
    this.#name.addEventListener('change', () => {
      listener.named(this.#name.value.trim());
    });
    for (const field of [this.#state, this.#severity, this.#type, this.#symbol]) {
      field.addEventListener('change', () => {
        this.#filter();
      });
    }
    this.#clear.addEventListener('click', () => {
      this.#state.value = this.#severity.value = this.#type.value = this.#symbol.value = '';
      this.#filter();
      this.#state.focus();
    });
    this.#more.addEventListener('click', () => void this.#loadMore());
  }

  get isOpen(): boolean {
    return !this.root.hidden;
  }

  open(): void {
    this.root.hidden = false;
    this.draw();
    this.root.querySelector<HTMLElement>('#alerts-title')?.focus();
  }

  close(): void {
    this.root.hidden = true;
  }

  draw(): void {
    if (!this.isOpen) return;
    const { alerts } = this.store;
    const open = openText(alerts);
    setText(this.#open, open === '' ? 'none open' : `${open} open`);
    this.#drawIncidents(alerts);
    this.#silences.draw(alerts.silences, this.now());
    const status = statusText(alerts);
    setText(this.#status, status);
    this.#status.hidden = status === '';
    this.#status.dataset['level'] = alerts.phase === 'failed' ? 'bad' : '';
    this.#more.hidden = alerts.next === null;
    this.#clear.hidden = Object.values(alerts.filter).every((text) => text === '');
  }

  /** What is shown, for tests. */
  texts(): Record<string, unknown> {
    const text = (row: Element): string => (row instanceof HTMLElement ? row.innerText.replaceAll(/\s+/g, ' ').trim() : '');
    return {
      open: this.#open.textContent,
      status: this.#status.textContent,
      incidents: [...this.#list.children].map((row) => ({ id: row.getAttribute('data-id'), state: row.getAttribute('data-state'), text: text(row) })),
      silences: this.#silences.texts(),
      hasMore: !this.#more.hidden,
    };
  }

  #filter(): void {
    const { value: symbol } = this.#symbol;
    this.listener.filtered({
      ...NO_FILTER,
      state: INCIDENT_STATES.find((state) => state === this.#state.value) ?? '',
      severity: SEVERITIES.find((severity) => severity === this.#severity.value) ?? '',
      type: this.#type.value,
      symbol: symbol.trim(),
    });
  }

  async #loadMore(): Promise<void> {
    this.#more.disabled = true;
    try {
      await this.listener.more();
    } catch (error) {
      this.listener.say(refusalText(error));
    } finally {
      this.#more.disabled = false;
    }
  }

  #drawIncidents({ incidents }: AlertsState): void {
    const zone = this.zone();
    const kept = new Set<string>();
    for (const incident of incidents) {
      kept.add(incident.id);
      if (![...this.#type.options].some(({ value }) => value === incident.type)) this.#type.append(element('option', { value: incident.type }, typeLabel(incident.type)));
      const row = this.#rows.get(incident.id) ?? this.#makeIncident(incident.id);
      const drawn = `${JSON.stringify(incident)} ${zone.id}`;
      if (row.drawn === drawn) continue;
      row.drawn = drawn;
      row.root.dataset['state'] = incident.state;
      row.acknowledge.hidden = !needsAttention(incident);
      row.chart.hidden = incident.symbol === NO_SYMBOL;
      const whose = `${symbolText(incident.symbol)}, ${typeLabel(incident.type)}`;
      row.acknowledge.setAttribute('aria-label', `Acknowledge ${whose}`);
      row.toggle.setAttribute('aria-label', `Decisions on ${whose}`);
      row.head.replaceChildren(...incidentTexts(incident, zone));
      if (!row.decisions.hidden) void this.#loadDecisions(row, incident.id);
    }
    for (const id of this.#rows.keys()) if (!kept.has(id)) this.#rows.delete(id);
    const order = incidents.map(({ id }) => id).join('\n');
    if (order === this.#order) return;
    this.#order = order;
    replaceRows(this.#list, incidents.map(({ id }) => this.#rows.get(id)?.root));
  }

  #makeIncident(id: string): IncidentRow {
    const button = (text: string, run: () => void): HTMLButtonElement => {
      const made = element('button', { type: 'button', class: 'alert-button' }, text);
      made.addEventListener('click', run);
      return made;
    };
    const incident = (): Incident | undefined => this.store.alerts.incidents.find((each) => each.id === id);
    const head = element('div', { class: 'incident-head' });
    const acknowledge = button('Acknowledge', () => void this.#acknowledge(row, id));
    const silence = button('Silence', () => {
      const held = incident();
      if (held !== undefined) this.#dialog.open({ symbols: held.symbol === NO_SYMBOL ? [] : [held.symbol], types: [held.type] });
    });
    const chart = button('On the chart', () => {
      const held = incident();
      if (held !== undefined) this.listener.shown(held);
    });
    const decisions = element('ul', { class: 'decisions', 'aria-live': 'polite', hidden: '' });
    const toggle = button('Decisions', () => {
      decisions.hidden = !decisions.hidden;
      toggle.setAttribute('aria-expanded', String(!decisions.hidden));
      if (!decisions.hidden) void this.#loadDecisions(row, id);
    });
    toggle.setAttribute('aria-expanded', 'false');
    const root = element('li', { class: 'incident', 'data-id': id }, head, element('div', { class: 'incident-acts' }, acknowledge, silence, chart, toggle), decisions);
    const row: IncidentRow = { root, head, acknowledge, chart, toggle, decisions, drawn: '', asked: '' };
    this.#rows.set(id, row);
    return row;
  }

  async #acknowledge(row: IncidentRow, id: string): Promise<void> {
    row.acknowledge.disabled = true;
    try {
      const problem = await this.listener.acknowledge(id, this.#name.value.trim());
      if (problem !== '') this.listener.say(problem);
      else if (row.acknowledge === document.activeElement) row.toggle.focus();
    } catch (error) {
      this.listener.say(refusalText(error));
    } finally {
      row.acknowledge.disabled = false;
    }
  }

  /** Asks for the decisions on an incident, when it is opened and when it has changed. */
  async #loadDecisions(row: IncidentRow, id: string): Promise<void> {
    if (row.asked === '') row.decisions.replaceChildren(element('li', {}, 'Loading…'));
    const asked = row.drawn;
    row.asked = asked;
    try {
      const decisions = await this.listener.decisions(id);
      if (row.asked !== asked) return;
      const zone = this.zone();
      const texts = decisions.map((decision) =>
        element(
          'li',
          { 'data-status': decision.status },
          element('span', { class: 'decision-channel' }, decision.channel === '' ? 'no channel' : decision.channel),
          ' ',
          element('span', { class: 'decision-text' }, decisionText(decision)),
          ' ',
          element('span', { class: 'system-note' }, momentText(decision.time, zone)),
        ),
      );
      row.decisions.replaceChildren(...(texts.length === 0 ? [element('li', {}, 'Nothing has been decided yet.')] : texts));
    } catch (error) {
      row.asked = '';
      row.decisions.replaceChildren(element('li', { 'data-status': 'failed' }, refusalText(error)));
    }
  }
}

function select(label: string, options: readonly (readonly [value: string, text: string])[]): HTMLSelectElement {
  return element('select', { 'aria-label': label, class: 'alert-select' }, ...options.map(([value, text]) => element('option', { value }, text)));
}

/** A symbol as it is shown; what is about the system as a whole has none. */
function symbolText(symbol: string): string {
  return symbol === NO_SYMBOL ? 'System' : symbol;
}

function incidentTexts(incident: Incident, zone: Zone): Node[] {
  const { symbol, type, severity, state, time, description, value, expected, threshold, acknowledgedBy } = incident;
  const word = acknowledgedBy === null || state !== 'acknowledged' ? STATE_TEXTS[state] : `${STATE_TEXTS[state]} by ${acknowledgedBy}`;
  const figures = `value ${exactText(value)} · baseline ${exactText(expected)} · threshold ${exactText(threshold)}${threshold === null ? '' : typeUnit(type)}`;
  const line = (name: string, text: string): HTMLElement => element('p', { class: name }, text);
  return [
    element(
      'div',
      { class: 'incident-title' },
      element('span', { class: 'anomaly-mark', 'data-severity': severity, 'data-state': state, 'aria-hidden': 'true' }, typeLetter(type)),
      element('strong', {}, symbolText(symbol)),
      element('span', {}, typeLabel(type)),
      element('span', { class: 'system-note' }, severity),
      element('span', { class: 'incident-state' }, word),
      element('span', { class: 'system-note' }, momentText(time, zone)),
    ),
    line('incident-said', description),
    line('system-note', `${figures} · ${toldText(incident)}`),
  ];
}

/** What stands in place of the list, or above it. */
function statusText({ phase, fault, incidents, filter }: AlertsState): string {
  switch (phase) {
    case 'loading':
      return 'Loading…';
    case 'failed':
      return incidents.length === 0 ? fault : `${fault} What is listed is as it was before.`;
    case 'missing':
      return 'This server has no alerts: it is older than this page, or its history keeps none. Anomalies are on the chart all the same.';
    case 'ready':
      if (incidents.length > 0) return '';
      return Object.values(filter).some((text) => text !== '') ? 'No incident fits these filters.' : 'No incidents yet. An anomaly makes one; whom it is told, and over which channels, is set in the section [alerts] of the configuration.';
  }
}

/** The number of open incidents for those who listen. */
export function openLabel(alerts: AlertsState): string {
  const open = openText(alerts);
  return `Alerts: ${open === '' ? 'none' : open} open`;
}
