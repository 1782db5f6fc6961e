/**
 * Starts the page: the model, the connection to the server, the view, and then the first symbol. Symbols, prices and the
 * bars of a symbol that the address names are all requested at once, so that the first candles wait for one answer.
 */

import { AlertFeed } from './api/alert-feed';
import { decodeAssetClasses } from './api/decode';
import { Feed } from './api/feed';
import { Rest, RestError } from './api/rest';
import { Socket } from './api/socket';
import { Backoff } from './helpers/backoff';
import type { EpochMillis } from './helpers/nominal';
import { ServerClock } from './helpers/server-clock';
import { Store } from './model/store';
import { DEFAULT_WINDOWS } from './model/windows';
import { Page } from './ui/page';
import { PreferenceStore } from './ui/preferences';

declare global {
  interface Window {
    /** What is on the screen, for browser tests (see README). */
    __tickwire?: () => Record<string, unknown>;
  }
}

const RETRY_FIRST_MS = 500;
const RETRY_CAP_MS = 15_000;

const clock = new ServerClock(() => Date.now() as EpochMillis);
const base = new URL(document.baseURI);
const line = new URL('ws', base);
line.protocol = base.protocol === 'https:' ? 'wss:' : 'ws:';
line.hash = '';

const store = new Store();
const rest = new Rest(base, (input, init) => fetch(input, init));
const feed = new Feed(
  store,
  rest,
  (text) => {
    page.say(text);
  },
  (time) => {
    clock.observe(time);
  },
  () => {
    alerts.hint();
  },
);
const alerts = new AlertFeed(store, rest, () => document.hidden);
const preferences = new PreferenceStore(() => localStorage);
const page = new Page(store, feed, alerts, clock, preferences);
const socket = new Socket(
  line.href,
  new Backoff(RETRY_FIRST_MS, RETRY_CAP_MS, Math.random),
  { connect: (address) => new WebSocket(address), now: clock.local },
  {
    opened: () => {
      feed.opened();
      alerts.wake();
      void loadHealth();
    },
    received: (text) => {
      feed.received(text);
    },
    changed: (connection) => {
      store.setConnection(connection);
      if (connection.phase === 'waiting') feed.closed();
    },
  },
);
feed.attach(socket);
window.__tickwire = () => page.snapshot();

/** Loads the symbols, with back-off until there are some: a fresh server learns its symbols from its feed. */
async function loadSymbols(): Promise<void> {
  const backoff = new Backoff(RETRY_FIRST_MS, RETRY_CAP_MS, Math.random);
  for (;;) {
    try {
      const { symbols, windows, details } = await rest.symbols();
      store.setAssetClasses(decodeAssetClasses(details));
      if (symbols.length > 0) {
        page.settle(symbols, windows ?? []);
        return;
      }
      if (windows !== undefined && windows.length > 0) page.setWindows(windows);
    } catch (error) {
      if (!(error instanceof RestError)) throw error;
    }
    await new Promise((resolve) => {
      setTimeout(resolve, backoff.next());
    });
  }
}

/** Asks for the origin of the data. Frames tell it as well, but not where no WebSocket gets through. */
async function loadHealth(): Promise<void> {
  try {
    const { origin, past } = await rest.health();
    store.setOrigin(origin);
    store.setPast(past);
  } catch (error) {
    // The next connection asks again.
    if (!(error instanceof RestError)) throw error;
  }
}

page.setWindows(DEFAULT_WINDOWS);
page.open(page.address);
socket.start();
void feed.refreshLatest();
void loadHealth();
void loadSymbols();
alerts.start();

window.addEventListener('online', () => {
  socket.retryNow();
});
document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  socket.retryNow();
  alerts.wake();
});
