/**
 * Keeps the preferences in the browser's storage.
 *
 * Promises: a change of one field leaves what another tab has meanwhile changed in the others. Where storage is blocked
 * or full, preferences last as long as the page.
 */

import { DEFAULTS, type Preferences, readPreferences, writePreferences } from '../model/preferences';

/** `public/theme.js` reads it as well, before anything is painted. */
const KEY = 'tickwire.preferences';
/** Where the theme alone was kept before there were preferences. */
const OLD_THEME_KEY = 'tickwire.theme';

/** The part of the browser's `Storage` that is used. */
export type PreferenceStorage = Pick<Storage, 'getItem' | 'setItem'>;

export class PreferenceStore {
  #held: Preferences;
  /** True once a change could not be stored: what storage holds is older from then on. */
  #isBlocked = false;

  /** @param storage returns the storage; throws where the browser forbids it */
  constructor(private readonly storage: () => PreferenceStorage) {
    this.#held = this.#read() ?? DEFAULTS;
  }

  get current(): Preferences {
    return this.#held;
  }

  /** Changes some fields and keeps the result. */
  change(fields: Partial<Preferences>): void {
    this.#held = { ...(this.#read() ?? this.#held), ...fields };
    try {
      this.storage().setItem(KEY, writePreferences(this.#held));
      this.#isBlocked = false;
    } catch {
      this.#isBlocked = true;
    }
  }

  /** The preferences in storage; `undefined` where there are none that are current. */
  #read(): Preferences | undefined {
    if (this.#isBlocked) return undefined;
    try {
      const storage = this.storage();
      const text = storage.getItem(KEY);
      if (text !== null) return readPreferences(text);
      const theme = storage.getItem(OLD_THEME_KEY);
      return theme === 'light' || theme === 'dark' ? { ...DEFAULTS, theme } : undefined;
    } catch {
      return undefined;
    }
  }
}
