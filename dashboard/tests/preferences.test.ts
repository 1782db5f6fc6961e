import { describe, expect, test } from 'vitest';

import { DEFAULTS, type Preferences, readPreferences, writePreferences } from '../src/model/preferences';
import { PreferenceStore } from '../src/ui/preferences';

const CHOSEN: Preferences = {
  theme: 'light',
  symbol: 'BTC-USD',
  window: '5min',
  overlays: ['sma_20', 'bb_upper'],
  panes: ['rsi'],
  pins: ['TSLA', 'AAPL'],
  sort: { column: 'change', descending: true },
  timeZone: 'local',
  logScale: true,
  reader: 'ann',
};

/** The browser's storage, as far as it is used. */
class Shelf {
  readonly held = new Map<string, string>();
  isFull = false;

  getItem(key: string): string | null {
    return this.held.get(key) ?? null;
  }

  setItem(key: string, text: string): void {
    if (this.isFull) throw new Error('QuotaExceededError');
    this.held.set(key, text);
  }
}

const KEY = 'tickwire.preferences';

describe('what is written is read', () => {
  test('every field survives', () => {
    expect(readPreferences(writePreferences(CHOSEN))).toEqual(CHOSEN);
    expect(readPreferences(writePreferences(DEFAULTS))).toEqual(DEFAULTS);
  });

  test.each([null, '', '{', 'null', '5', '[]', '"text"', '{}', '{"version":0,"theme":"light"}', '{"version":2,"theme":"light"}'])(
    '%j gives the defaults',
    (text) => {
      expect(readPreferences(text)).toEqual(DEFAULTS);
    },
  );

  test.each<[string, unknown, keyof Preferences]>([
    ['theme', 'pink', 'theme'],
    ['symbol', '', 'symbol'],
    ['symbol', 'A'.repeat(101), 'symbol'],
    ['window', 5, 'window'],
    ['overlays', 'sma_20', 'overlays'],
    ['pins', { 0: 'AAPL' }, 'pins'],
    ['sort', 'change', 'sort'],
    ['sort', { column: 'colour', descending: 'yes' }, 'sort'],
    ['timeZone', 'Mars', 'timeZone'],
    ['logScale', 1, 'logScale'],
  ])('%s = %j has its default, and the other fields are kept', (field, value, key) => {
    const text = JSON.stringify({ ...(JSON.parse(writePreferences(CHOSEN)) as object), [field]: value });
    expect(readPreferences(text)).toEqual({ ...CHOSEN, [key]: DEFAULTS[key] });
  });

  test('a list keeps what are names, each once', () => {
    const text = JSON.stringify({ version: 1, pins: ['AAPL', 5, '', 'AAPL', null, 'MSFT'] });
    expect(readPreferences(text).pins).toEqual(['AAPL', 'MSFT']);
  });
});

describe('the store', () => {
  test('a change is there at the next visit', () => {
    const shelf = new Shelf();
    new PreferenceStore(() => shelf).change({ pins: ['IBM'], logScale: true });
    expect(new PreferenceStore(() => shelf).current).toEqual({ ...DEFAULTS, pins: ['IBM'], logScale: true });
  });

  test('a change leaves what another tab changed meanwhile', () => {
    const shelf = new Shelf();
    const [one, other] = [new PreferenceStore(() => shelf), new PreferenceStore(() => shelf)];
    one.change({ theme: 'light' });
    other.change({ pins: ['IBM'] });
    expect(new PreferenceStore(() => shelf).current).toEqual({ ...DEFAULTS, theme: 'light', pins: ['IBM'] });
  });

  test('the theme of a page from before there were preferences is kept', () => {
    const shelf = new Shelf();
    shelf.held.set('tickwire.theme', 'light');
    const store = new PreferenceStore(() => shelf);
    expect(store.current.theme).toBe('light');
    store.change({ logScale: true });
    expect(readPreferences(shelf.getItem(KEY))).toEqual({ ...DEFAULTS, theme: 'light', logScale: true });
  });

  test('storage that is forbidden or full makes them last as long as the page', () => {
    const forbidden = new PreferenceStore(() => {
      throw new Error('SecurityError');
    });
    forbidden.change({ theme: 'dark' });
    forbidden.change({ pins: ['IBM'] });
    expect(forbidden.current).toEqual({ ...DEFAULTS, theme: 'dark', pins: ['IBM'] });

    const shelf = new Shelf();
    shelf.setItem(KEY, writePreferences(CHOSEN));
    shelf.isFull = true;
    const full = new PreferenceStore(() => shelf);
    full.change({ theme: 'dark' });
    full.change({ pins: [] });
    expect(full.current).toEqual({ ...CHOSEN, theme: 'dark', pins: [] });
  });
});
