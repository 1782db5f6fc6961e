/**
 * The page's address: it names the view, and the browser's back and forward buttons lead through the views that the reader
 * chose. Stepping through the watchlist by keyboard makes one entry in the browser's history, and not one a symbol.
 */

import { type PartialView, readView, type View, writeView } from '../model/view';

/**
 * How a view came about: a choice is an entry of its own in the browser's history, a step replaces the step before it,
 * and an adjustment (another line switched on) replaces whatever there is.
 */
export type Cause = 'choice' | 'step' | 'adjustment';

/** Kept beside an entry of the browser's history. */
interface Entry {
  readonly isStep: boolean;
}

export class Address {
  /** @param changed called with what the address names when the reader has changed it, or gone back or forward */
  constructor(changed: (view: PartialView) => void) {
    window.addEventListener('hashchange', () => {
      changed(this.view);
    });
  }

  get view(): PartialView {
    return readView(location.hash);
  }

  /** Writes the view that is shown now. */
  show(view: View, cause: Cause): void {
    const hash = writeView(view);
    if (hash === location.hash) return;
    const held = history.state as Partial<Entry> | null;
    const isStep = cause === 'adjustment' ? held?.isStep === true : cause === 'step';
    const entry: Entry = { isStep };
    if (cause === 'choice' || (cause === 'step' && held?.isStep !== true)) history.pushState(entry, '', hash);
    else history.replaceState(entry, '', hash);
  }
}
