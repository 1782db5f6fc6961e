/** What must not be taken for something else: a dead symbol for a live one, an outage for none, a made-up market for a real one. */

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { look, show, until } from './browser.mjs';
import { PAUSES } from './fake-server.mjs';
import { faked, faults, market, openEmpty, page, picture, prepare, real, reopen, restart, server, url } from './suite.mjs';

const [OUTAGE, CALM, NIGHT] = PAUSES;
/** One symbol trades; the others do not, and say so when they are made to. */
const TRADING = 'AAPL';
const DEAD = 'DEAD';

prepare({ market: { symbols: [TRADING, DEAD], pauses: PAUSES }, rate: 20, trading: [TRADING], isFaked: true });

beforeEach(async () => {
  if (real !== undefined) return;
  market.beginMinute();
  // The page remembers what the test before has shown.
  await reopen(`#/${TRADING}/1min`);
});

const rowOf = (seen, symbol) => seen.watchlist.find((row) => row.symbol === symbol);
const minutes = ({ from, to }) => (to - from) / 60;
/** The time scale has the places that each stretch is to have. */
const assertDrawn = (stretches) => assert.deepEqual(stretches.map(({ drawn }) => drawn), stretches.map(({ places }) => places));
const shape = (stretch) => [minutes(stretch), stretch.cause, stretch.isCut];

test('an outage is as long as it was, a calm hour too, a night is cut; each has its cause', faked, async () => {
  const box = await page.locator('#chart').boundingBox();
  const { stretches } = await until(page, (seen) => seen.stretches.some(({ cause }) => cause === 'down'));
  const long = stretches.filter((stretch) => minutes(stretch) > 3 && !stretch.isCut).map(shape);
  assert.deepEqual(long, [[CALM.from - CALM.to, 'untraded', false], [OUTAGE.from - OUTAGE.to, 'down', false]]);
  // Both bars beside the outage are on the screen, with its eighteen places between them.
  const down = stretches.find(({ cause }) => cause === 'down');
  assert.equal(down.drawn, 18);
  assertDrawn(stretches);
  await picture('outage');

  // The pointer finds the cause: from the right edge to the left, until it is in the outage.
  let text = '';
  for (let x = box.width - 80; x > 0 && !text.startsWith('no data'); x -= 20) {
    await page.mouse.move(box.x + x, box.y + box.height / 2);
    ({ state: text } = (await look(page)).legend);
  }
  assert.match(text, /^no data: the source was silent · 18 min · /);
  assert.equal((await look(page)).legend.close, '–', 'the legend shows no bar where none is');
  await page.mouse.move(5, 5);

  // Whoever reads by keyboard hears of it.
  await page.locator('#chart').focus();
  const spoken = () => page.locator('#spoken').textContent();
  for (let step = 0; step < 80 && !/^after 18 min, no data: the source was silent/.test((await spoken()) ?? ''); step += 1) await page.keyboard.press('ArrowLeft');
  assert.match(await spoken(), /^after 18 min, no data/);

  // Scrolling back brings the night.
  for (let drag = 0; drag < 40 && !(await look(page)).stretches.some(({ isCut }) => isCut); drag += 1) {
    await page.mouse.move(box.x + 200, box.y + 200);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width - 120, box.y + 200, { steps: 4 });
    await page.mouse.up();
  }
  const night = (await look(page)).stretches.find(({ isCut }) => isCut);
  assert.deepEqual([minutes(night), night.cause, night.drawn], [NIGHT.from - NIGHT.to, 'untraded', 3]);
  assertDrawn((await look(page)).stretches);
  for (let drag = 0; drag < 40 && (await look(page)).left > night.from; drag += 1) {
    await page.mouse.move(box.x + 200, box.y + 200);
    await page.mouse.down();
    await page.mouse.move(box.x + 500, box.y + 200, { steps: 4 });
    await page.mouse.up();
  }
  assert.ok((await look(page)).left <= night.from, 'the night is on the screen');
  await page.mouse.move(5, 5);
  await picture('night');
  assert.deepEqual(faults, []);
});

test('a symbol whose source died long ago looks dead from the first moment on, whatever ticks a snapshot brings', faked, async () => {
  market.setFeed(DEAD, 'dead');
  market.state.get(DEAD).lastTick.time -= 2601 * 86_400;
  await reopen(`#/${DEAD}/1min`);
  const seen = await until(page, (now, symbol) => now.watchlist.find((row) => row.symbol === symbol)?.feed === 'dead' && now.strip.age !== '', DEAD);
  assert.equal(seen.strip.age, 'last tick 2601 d ago');
  // Snapshots that come later (another window is chosen, the line is opened anew) change nothing.
  await page.evaluate(() => {
    window.feedsSeen = new Set();
    setInterval(() => window.feedsSeen.add(window.__tickwire().watchlist.find((row) => row.symbol === 'DEAD').feed), 5);
  });
  await show(page, DEAD, '5min');
  await server.close();
  await until(page, (now) => now.connection.phase === 'waiting');
  await restart();
  await until(page, (now) => now.connection.phase === 'live' && now.connection.reconnects === 1, null, 30_000);
  await until(page, (now, symbol) => now.watchlist.find((row) => row.symbol === symbol).feed === 'live', TRADING);
  assert.deepEqual(await page.evaluate(() => [...window.feedsSeen]), ['dead']);
  assert.deepEqual(faults, []);
});

test('what is silent now is empty up to now, and says why', faked, async () => {
  market.setFeed(DEAD, 'stale');
  // Some minutes pass in which nothing comes.
  market.ahead += 7 * 60_000;
  await show(page, DEAD, '1min');
  const { bars, stretches } = await until(page, (seen) => seen.stretches.at(-1)?.isOpen && seen.stretches.at(-1).places >= 6);
  const open = stretches.at(-1);
  assert.deepEqual([open.from, open.cause, open.isCut], [bars.at(-1).end, 'down', false]);
  assertDrawn(stretches);
  assert.equal(await page.getByRole('button', { name: 'Back to now' }).isVisible(), false, 'now is on the screen');
  await picture('silent');
  // The server says that the source is well: there were no trades.
  market.setFeed(DEAD, 'quiet');
  await until(page, (seen) => seen.stretches.at(-1).cause === 'untraded' && seen.stretches.at(-1).isOpen);
  // The next bar ends it, where it stands.
  market.tick(DEAD);
  const after = await until(page, (seen, count) => seen.candles.length > count, bars.length);
  const closed = after.stretches.at(-1);
  assert.deepEqual([closed.from, closed.to, closed.isOpen], [open.from, after.bars.at(-1).start, false]);
  assertDrawn(after.stretches);
  assert.deepEqual(faults, []);
});

test('an outage while somebody watches is drawn as it ends', faked, async () => {
  const { bars } = await until(page, (seen) => seen.bars.at(-1).state === 'forming');
  // From one trade to the next some minutes pass.
  market.ahead += 6 * 60_000;
  const newest = bars.at(-1).start;
  const seen = await until(page, (now, start) => now.candles.some(({ time }) => time > start + 300) && !now.stretches.at(-1).isOpen, newest);
  const last = seen.stretches.at(-1);
  assert.ok(last.from > newest && last.places >= 4 && last.places <= 6, JSON.stringify(last));
  assert.equal(last.to, seen.candles.find(({ time }) => time > last.from).time);
  assertDrawn(seen.stretches);
  const drawn = seen.candles.map(({ time }) => time);
  assert.ok(drawn.every((time, index) => index === 0 || time > drawn[index - 1]));
  assert.deepEqual(faults, []);
});

test('a machine whose clock is wrong shows ages by the server’s clock', faked, async () => {
  await openEmpty();
  await page.clock.install({ time: Date.now() - 3 * 3_600_000 });
  await page.clock.resume();
  await page.goto(`${url}#/${TRADING}/1min`);
  const seen = await until(page, (now) => now.strip.rate !== '–' && now.candles.length > 0);
  assert.match(seen.strip.age, /^last tick (now|\d s ago)$/);
  assert.equal(rowOf(seen, TRADING).feed, 'live');
});

for (const [name, size] of [['desktop', { width: 1440, height: 900 }], ['phone', { width: 390, height: 844 }], ['flat', { width: 844, height: 390 }]]) {
  test(`a replay says so on a ${name} screen, with its provider`, faked, async () => {
    server.origin = { data: 'replay', provider: 'polygon' };
    await page.setViewportSize(size);
    await page.reload();
    await until(page, (seen) => /REPLAY\s+polygon/.test(seen.origin));
    await until(page, (seen) => /\d/.test(seen.legend.last));
    assert.match(await page.title(), /^REPLAY · .* · Tickwire$/);
    const badge = await page.locator('#origin').boundingBox();
    assert.ok(badge.x >= 0 && badge.y >= 0 && badge.x + badge.width <= size.width && badge.y + badge.height <= 100, JSON.stringify(badge));
    const top = await page.evaluate(([x, y]) => document.elementFromPoint(x, y)?.closest('#origin') !== null, [badge.x + badge.width / 2, badge.y + badge.height / 2]);
    assert.ok(top, 'nothing covers it');
    await picture(`replay-${name}`);
  });
}

test('live data has no badge, nor have those of an older server', faked, async () => {
  for (const origin of [{ data: 'live', provider: 'polygon' }, {}]) {
    server.origin = origin;
    await page.reload();
    const seen = await until(page, (now) => now.connection.phase === 'live' && now.candles.length > 0 && now.strip.rate !== '–');
    assert.equal(seen.origin, '');
    assert.doesNotMatch(await page.title(), /REPLAY|SIMULATED/);
  }
});

test('while the past is being made up the page says how far it is, and no longer', faked, async () => {
  server.past = { done: 340, total: 1000 };
  await page.reload();
  const seen = await until(page, (now) => now.strip.past !== '');
  assert.equal(seen.strip.past, 'making up the past: 340 of 1,000 symbols');
  server.past = { done: 999, total: 1000 };
  await until(page, (now) => now.strip.past === 'making up the past: 999 of 1,000 symbols');
  server.past = undefined;
  await until(page, (now) => now.strip.past === '');
  assert.deepEqual(faults, []);
});
