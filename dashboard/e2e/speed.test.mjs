/** How fast the page is: first paint, and a watchlist of a thousand rows that scrolls while it trades. */

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launch, open, until } from './browser.mjs';
import { FakeServer, trade } from './fake-server.mjs';
import { Market } from './market.mjs';

const ROWS = 1000;
const FIRST_PAINT_MS = 1000;
/** Two frames at 60 Hz: a longer one is a frame that was dropped. */
const FRAME_MS = 34;

const skip = process.env.TICKWIRE_URL === undefined ? {} : { skip: 'measured against the fake server' };
const screenshots = fileURLToPath(new URL('../screenshots/', import.meta.url));
let market, server, browser, stopTrading;

before(async () => {
  if (skip.skip) return;
  await mkdir(screenshots, { recursive: true });
  market = new Market({ symbols: Array.from({ length: ROWS }, (_, index) => `S${String(index).padStart(4, '0')}`), minutes: 120 });
  server = await new FakeServer(market).listen();
  browser = await launch();
  stopTrading = trade(market, 2000);
});

after(async () => {
  stopTrading?.();
  await browser?.close();
  await server?.close();
});

test('first paint comes within a second', skip, async (context) => {
  const { page, faults } = await open(browser.context, server.url);
  const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime);
  context.diagnostic(`first contentful paint ${Math.round(paint)} ms`);
  assert.ok(paint < FIRST_PAINT_MS, `${paint} ms`);
  assert.deepEqual(faults, []);
  await page.close();
});

test('a thousand rows: few elements, only what is seen is subscribed, no frame dropped while scrolling', skip, async (context) => {
  const { page, faults } = await open(browser.context, server.url);
  await until(page, (seen) => seen.watchlist.length > 0);
  const elements = await page.evaluate(() => document.querySelectorAll('[role=option]').length);
  assert.ok(elements < 60, `${elements} rows in the document`);
  const asked = server.subscriptions.at(-1);
  assert.ok(asked.channels.includes('ticks') && asked.symbols.length < 60 && !asked.symbols.includes('*'));
  await page.waitForLoadState('networkidle');

  // Work per frame is what the page answers for; how evenly a machine without a screen paces frames is not.
  const session = await browser.context.newCDPSession(page);
  await session.send('Performance.enable');
  const busy = async () => Object.fromEntries((await session.send('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value])).TaskDuration;
  const before = await busy();
  const { frames, long } = await page.evaluate(
    (limit) =>
      new Promise((resolve) => {
        const list = document.querySelector('[aria-label=Symbols]');
        const long = [];
        const watch = new PerformanceObserver((entries) => long.push(...entries.getEntries().map(({ duration }) => duration)));
        watch.observe({ entryTypes: ['longtask'] });
        const gaps = [];
        let last = performance.now();
        const step = (now) => {
          gaps.push(now - last);
          last = now;
          list.scrollTop += 90;
          if (gaps.length < 240) requestAnimationFrame(step);
          else resolve({ frames: gaps.slice(2), long, limit });
        };
        requestAnimationFrame(step);
      }),
    FRAME_MS,
  );
  const spent = ((await busy()) - before) / frames.length;
  const sorted = [...frames].sort((a, b) => a - b);
  const dropped = frames.filter((gap) => gap > FRAME_MS).length;
  context.diagnostic(`${frames.length} frames: median ${sorted[frames.length >> 1].toFixed(1)} ms, worst ${sorted.at(-1).toFixed(1)} ms, dropped ${dropped}, work ${(spent * 1000).toFixed(1)} ms a frame`);
  assert.deepEqual(long, [], 'tasks over 50 ms');
  assert.ok(spent * 1000 < 16.7, `${spent * 1000} ms of work a frame`);
  const { watchlist } = await until(page, (seen) => seen.watchlist.some((row) => row.symbol > 'S0400' && row.last !== '–'));
  assert.ok(watchlist.length < 60);
  // Where the scroll came to rest, rows trade.
  await until(page, (seen, rows) => seen.watchlist.some((row, index) => row.last !== rows[index]), watchlist.map((row) => row.last));
  await page.screenshot({ path: join(screenshots, 'thousand.png') });
  assert.deepEqual(faults, []);
});
