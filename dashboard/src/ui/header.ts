/**
 * What says at a glance what the page shows: the document's title, where the data come from, how many incidents are open,
 * and that nothing new comes any more.
 */

import { fixed } from '../helpers/format';
import { openText } from '../model/alerts';
import { badgeOf } from '../model/origin';
import { priceNow } from '../model/price';
import type { Store } from '../model/store';
import { openLabel } from './alerts';
import { byId, setText } from './dom';

export class Header {
  readonly #origin = byId('origin');
  readonly #alerts = byId('alerts-open');

  constructor(private readonly store: Store) {}

  /** The mark of data that are not a market's; empty where they are. */
  get origin(): string {
    return this.#origin.hidden ? '' : this.#origin.textContent;
  }

  get openAlerts(): string {
    return byId('alerts-count').textContent;
  }

  drawTitle(): void {
    const { store } = this;
    const row = store.selection === null ? undefined : store.rows.get(store.selection.symbol);
    const parts = [badgeOf(store.origin), row === undefined ? '' : `${fixed(priceNow(store), row.decimals)} ${row.symbol}`, 'Tickwire'];
    const open = openText(store.alerts);
    document.title = `${open === '' ? '' : `(${open}) `}${parts.filter((part) => part !== '').join(' · ')}`;
  }

  /** Shows the number of open incidents, and the way to the view of them, which may be shown now. */
  drawAlerts(isShown: boolean): void {
    const { alerts } = this.store;
    setText(byId('alerts-count'), openText(alerts));
    this.#alerts.setAttribute('aria-label', openLabel(alerts));
    // A server without alerts has nothing to show.
    this.#alerts.hidden = alerts.phase === 'missing' && !isShown;
  }

  /** Shows that the data are simulated or replayed: they must never be taken for a market. */
  drawOrigin(): void {
    const { origin } = this.store;
    const badge = badgeOf(origin);
    const name = origin.provider ?? '';
    setText(byId('origin-badge'), badge);
    // A provider whose name the badge shows already is not repeated.
    setText(byId('origin-provider'), name.toUpperCase() === badge ? '' : name);
    this.#origin.hidden = badge === '';
  }

  /** Marks a page that no longer gets what is new. */
  drawAge(): void {
    const { connection } = this.store;
    const old = connection.phase === 'stale' || connection.phase === 'waiting' || connection.reason !== '';
    document.body.toggleAttribute('data-old', old);
  }
}
