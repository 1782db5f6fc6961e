/**
 * All values of one bar: the one under the crosshair, or the newest. Below them the indicators, whose names are buttons
 * that switch their lines and panes on and off.
 */

import { compact, counted, fixed, NONE, percent, share, signed } from '../helpers/format';
import type { EpochSeconds } from '../helpers/nominal';
import { instantText, spanText } from '../helpers/time';
import type { Zone } from '../helpers/zone';
import { type Bar, isAmended, isPartial } from '../model/bar';
import type { IndicatorName } from '../model/indicators';
import { priceNow } from '../model/price';
import type { Store } from '../model/store';
import type { Stretch } from '../model/stretches';
import { changeOf } from '../model/watchlist';
import { indicatorDecimals } from './chart/indicator-lines';
import { PLOTS } from './chart/plots';
import { CAUSE_TEXTS } from './chart/stretch-marks';
import { element, setText } from './dom';

const FIELDS = ['open', 'high', 'low', 'close', 'change', 'volume', 'vwap', 'trades'] as const;
type Field = (typeof FIELDS)[number];

const LABELS: Readonly<Record<Field, string>> = {
  open: 'O',
  high: 'H',
  low: 'L',
  close: 'C',
  change: 'Δ',
  volume: 'Vol',
  vwap: 'VWAP',
  trades: 'Trades',
};

/** Indicators that belong together share a label and a button. */
const GROUPS: readonly (readonly [label: string, names: readonly IndicatorName[]])[] = [
  ['SMA 20', ['sma_20']],
  ['SMA 50', ['sma_50']],
  ['SMA 200', ['sma_200']],
  ['EMA 12', ['ema_12']],
  ['EMA 26', ['ema_26']],
  ['BB', ['bb_upper', 'bb_middle', 'bb_lower']],
  ['RSI 14', ['rsi_14']],
  ['MACD', ['macd', 'macd_signal', 'macd_histogram']],
];

/** What a button switches: lines over the candles by the names of their indicators, or a pane by its own name. */
export interface Switch {
  readonly kind: 'overlays' | 'panes';
  readonly names: readonly string[];
}

function switchOf(names: readonly IndicatorName[]): Switch {
  const pane = names[0] === undefined ? 'price' : PLOTS[names[0]].pane;
  return pane === 'price' ? { kind: 'overlays', names } : { kind: 'panes', names: [pane] };
}

export class Legend {
  readonly #symbol = element('span', { class: 'legend-symbol' });
  readonly #window = element('span', { class: 'legend-window' });
  readonly #last = element('span', { class: 'legend-last' });
  readonly #change = element('span', { class: 'legend-change' });
  readonly #time = element('span', { class: 'legend-time' });
  readonly #state = element('span', { class: 'legend-state' });
  readonly #values = element('div', { class: 'legend-values' });
  readonly #fields = new Map<Field, HTMLElement>();
  readonly #indicators = new Map<IndicatorName, HTMLElement>();
  readonly #buttons = new Map<HTMLElement, Switch>();
  #pointed: EpochSeconds | null = null;
  #stretch: Stretch | null = null;

  constructor(
    root: HTMLElement,
    private readonly store: Store,
    private readonly zone: () => Zone,
    toggle: (what: Switch, isShown: boolean) => void,
  ) {
    const values = this.#values;
    values.append(this.#time);
    for (const field of FIELDS) {
      const value = element('span', { class: 'value' });
      this.#fields.set(field, value);
      values.append(element('span', { class: 'pair', 'data-field': field }, element('span', { class: 'label' }, LABELS[field]), value));
    }
    values.append(this.#state);
    const indicators = element('div', { class: 'legend-indicators' });
    for (const [label, names] of GROUPS) {
      const parts: HTMLElement[] = [element('span', { class: 'label' }, label)];
      for (const name of names) {
        const value = element('span', { class: 'value' });
        this.#indicators.set(name, value);
        parts.push(value);
      }
      const what = switchOf(names);
      const title = what.kind === 'panes' ? `Show or hide ${label} in a pane of its own` : `Show or hide ${label}`;
      const button = element('button', { type: 'button', class: 'pair', 'aria-pressed': 'false', title }, ...parts);
      if (names[0] !== undefined) button.style.setProperty('--overlay', `var(--${PLOTS[names[0]].color})`);
      button.addEventListener('click', () => {
        toggle(what, button.getAttribute('aria-pressed') !== 'true');
      });
      this.#buttons.set(button, what);
      indicators.append(button);
    }
    root.append(
      element('div', { class: 'legend-head' }, this.#symbol, this.#window, this.#last, this.#change),
      values,
      indicators,
    );
  }

  /** Follows the crosshair, to a bar or into an empty stretch; `null` follows the newest bar. */
  point(time: EpochSeconds | null, stretch: Stretch | null): void {
    this.#pointed = time;
    this.#stretch = stretch;
    this.#drawBar();
  }

  /** Marks the buttons of what is switched on. */
  showSwitched(overlays: ReadonlySet<string>, panes: ReadonlySet<string>): void {
    for (const [button, { kind, names }] of this.#buttons) {
      const on = kind === 'panes' ? panes : overlays;
      button.setAttribute('aria-pressed', String(names.every((name) => on.has(name))));
    }
  }

  /** The bar whose values are shown; none where the crosshair is in an empty stretch. */
  get bar(): Bar | undefined {
    const { series } = this.store;
    if (this.#pointed === null) return series.newest;
    return series.at(this.#pointed) ?? (this.#stretch === null ? series.newest : undefined);
  }

  /** The lines above a picture of the chart: what it shows, and the indicators that are switched on. */
  get caption(): readonly string[] {
    const { symbol = '', window = '', time = '', open = '', high = '', low = '', close = '', volume = '' } = this.texts();
    const bar = this.bar;
    const zone = bar === undefined ? '' : this.zone().abbreviation(bar.start);
    const on = GROUPS.filter((_, index) => [...this.#buttons.keys()][index]?.getAttribute('aria-pressed') === 'true').map(([label, names]) =>
      `${label} ${names.map((name) => this.#indicators.get(name)?.textContent ?? NONE).join(' ')}`,
    );
    const first = `${symbol} · ${window} · ${time} ${zone} · O ${open} H ${high} L ${low} C ${close} · Vol ${volume}`;
    return on.length === 0 ? [first] : [first, on.join('   ')];
  }

  /** What is shown, for tests and screen readers. */
  texts(): Record<string, string> {
    const texts: Record<string, string> = {
      symbol: this.#symbol.textContent,
      window: this.#window.textContent,
      last: this.#last.textContent,
      time: this.#time.textContent,
      state: this.#state.textContent,
    };
    for (const [field, value] of this.#fields) texts[field] = value.textContent;
    for (const [name, value] of this.#indicators) texts[name] = value.textContent;
    return texts;
  }

  draw(): void {
    this.#drawHead();
    this.#drawBar();
  }

  /** Draws the price now. Only with everything else that shows it, so that no two places ever differ. */
  #drawHead(): void {
    const { selection, rows } = this.store;
    setText(this.#symbol, selection?.symbol ?? '');
    setText(this.#window, selection?.window ?? '');
    const row = selection === null ? undefined : rows.get(selection.symbol);
    const decimals = row?.decimals ?? 2;
    const last = fixed(priceNow(this.store), decimals);
    setText(this.#last, last);
    this.#values.style.setProperty('--price-length', String(last.length));
    const change = row === undefined ? null : changeOf(row);
    setText(this.#change, change === null ? '' : `${signed(change.amount, decimals)}  ${percent(change.percent)}`);
    this.#change.dataset['trend'] = change === null ? 'flat' : shownTrend(signed(change.amount, decimals));
  }

  /** Draws the bar under the crosshair, or the newest. */
  #drawBar(): void {
    const { selection, series, rows, indicators } = this.store;
    const decimals = (selection === null ? undefined : rows.get(selection.symbol))?.decimals ?? 2;
    const bar = this.bar;
    const empty = bar === undefined ? this.#stretch : null;
    const time = bar?.start ?? (empty === null ? null : this.#pointed);
    setText(this.#time, time === null ? '' : instantText(time, this.zone()));
    const before = bar === undefined ? undefined : series.before(bar.start);
    const step = bar !== undefined && before !== undefined ? bar.close - before.close : null;
    const texts: Readonly<Record<Field, string>> = {
      open: fixed(bar?.open, decimals),
      high: fixed(bar?.high, decimals),
      low: fixed(bar?.low, decimals),
      close: fixed(bar?.close, decimals),
      change: step === null || before === undefined ? NONE : percent((step / before.close) * 100),
      volume: compact(bar?.volume),
      vwap: fixed(bar?.vwap, decimals + 1),
      trades: bar === undefined ? NONE : fixed(bar.tradeCount, 0),
    };
    const direction = bar === undefined ? 0 : bar.close - bar.open;
    for (const [field, value] of this.#fields) {
      setText(value, texts[field]);
      if (field === 'change') value.dataset['trend'] = shownTrend(texts.change);
      else if (field !== 'volume' && field !== 'vwap' && field !== 'trades') value.dataset['trend'] = trend(direction);
    }
    const state = bar !== undefined ? stateText(bar) : empty !== null ? stretchText(empty, this.zone()) : '';
    setText(this.#state, state);
    if (this.#state.title !== state) this.#state.title = state;
    this.#state.dataset['state'] = bar === undefined ? (empty?.cause === 'down' ? 'partial' : '') : isPartial(bar) ? 'partial' : isAmended(bar) ? 'amended' : bar.state;

    // A forming bar has no indicators yet, so those of the bar before it are shown.
    const point = bar === undefined ? undefined : (indicators.get(bar.end) ?? (bar.state === 'forming' && before !== undefined ? indicators.get(before.end) : undefined));
    for (const [name, value] of this.#indicators) setText(value, fixed(point?.values[name], indicatorDecimals(name, decimals, bar)));
  }
}

/** Why there is no bar, and how long. */
function stretchText({ cause, from, to, isOpen }: Stretch, zone: Zone): string {
  return `${CAUSE_TEXTS[cause]} · ${spanText(to - from)} · ${instantText(from, zone)} to ${isOpen ? 'now' : instantText(to, zone)}`;
}

function trend(value: number): string {
  return value > 0 ? 'up' : value < 0 ? 'down' : 'flat';
}

/** The trend of a signed text: a change that rounds to zero has no colour. */
function shownTrend(text: string): string {
  return trend(text.startsWith('+') ? 1 : text.startsWith('−') ? -1 : 0);
}

/** State, revision and coverage of a bar, and its counts of late, duplicate and cancelled trades. */
function stateText(bar: Bar): string {
  const parts: string[] = [isAmended(bar) ? `${bar.state} · revision ${bar.revision}` : bar.state];
  parts.push(bar.isVendors ? 'the venue’s own bar' : `coverage ${share(bar.coverage)}`);
  if (bar.late > 0) parts.push(`${bar.late} late`);
  if (bar.duplicates > 0) parts.push(counted(bar.duplicates, 'duplicate'));
  if (bar.cancelled > 0) parts.push(`${bar.cancelled} cancelled`);
  return parts.join(' · ');
}
