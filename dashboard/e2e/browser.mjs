/** The browser and the page under test: one empty profile a run, errors of the page fail the test. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts a browser; `CHROMIUM` names another one than the system's. */
export async function launch(options = {}) {
  const profile = await mkdtemp(join(tmpdir(), 'tickwire-e2e-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    viewport: { width: 1440, height: 900 },
    colorScheme: 'dark',
    ...options,
    args: ARGS,
  });
  return {
    context,
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Opens the page and waits until it shows bars over a live line. */
export async function open(context, url) {
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    // A refused connection is what some tests are about; the browser logs it whatever the page does.
    if (message.type() === 'error' && !/ERR_CONNECTION|WebSocket connection|Failed to load resource/.test(message.text())) faults.push(message.text());
  });
  await page.goto(url);
  await until(page, (seen) => seen.connection.phase === 'live' && seen.candles.length > 0);
  return { page, faults };
}

/** Has an open page show a symbol and window, as its address would, and waits until it does. */
export async function show(page, symbol, window) {
  await page.evaluate((hash) => {
    location.hash = hash;
  }, `#/${encodeURIComponent(symbol)}/${encodeURIComponent(window)}`);
  return until(page, (seen, [name, width]) => seen.selection.symbol === name && seen.selection.window === width && seen.history.phase === 'ready' && seen.candles.length > 0, [symbol, window]);
}

/** What the page shows, through its test hook. */
export function look(page) {
  return page.evaluate(() => window.__tickwire());
}

/**
 * Waits until what the page shows fulfils a condition, and returns it. The condition runs in the page, and is handed over
 * once: the page's Content-Security-Policy lets nothing be evaluated later, which is how Playwright waits for a function.
 */
export async function until(page, condition, argument = null, timeout = 15_000) {
  const seen = await page.evaluate(`(async () => {
    const condition = ${condition};
    const end = performance.now() + ${timeout};
    while (!(window.__tickwire && condition(window.__tickwire(), ${JSON.stringify(argument)}))) {
      if (performance.now() > end) return window.__tickwire ? { never: window.__tickwire() } : { never: {} };
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return {};
  })()`);
  if (seen.never !== undefined) {
    const { selection, connection, history, legend, strip, bars, stretches } = seen.never;
    const shown = JSON.stringify({ selection, connection, history, legend, strip, bars: bars?.length, newest: bars?.at(-1), stretches: stretches?.slice(-3) });
    throw new Error(`not within ${timeout} ms: ${condition} with ${JSON.stringify(argument)}; the page shows ${shown}`);
  }
  return look(page);
}

/** Colours of the pixels of a part of the screen, a row an array, as `#rrggbb`. */
export async function pixels(page, clip) {
  const png = await page.screenshot({ clip });
  return page.evaluate(async (base64) => {
    // The page's Content-Security-Policy lets no data address be an image.
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
    const hex = (at) => `#${[0, 1, 2].map((part) => data[at + part].toString(16).padStart(2, '0')).join('')}`;
    return Array.from({ length: bitmap.height }, (_, y) => Array.from({ length: bitmap.width }, (__, x) => hex((y * bitmap.width + x) * 4)));
  }, png.toString('base64'));
}
