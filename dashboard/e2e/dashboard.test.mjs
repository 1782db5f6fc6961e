/**
 * The page in a real browser, against the fake server or, with `TICKWIRE_URL`, against a running one. What needs the
 * server's hand (amending, stopping) says that it is skipped there. `TICKWIRE_STOP` and `TICKWIRE_START` may name
 * commands that stop and start that server; then the restart is tested on it as well, and with `TICKWIRE_KILL` a crash.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { beforeEach, test } from 'node:test';
import { look, show, until } from './browser.mjs';
import { PAUSES } from './fake-server.mjs';
import { askedSince, axe, faked, faults, fetchJson, market, page, pauseTrading, picture, prepare, real, reopen, restart, resumeTrading, server, shared, url } from './suite.mjs';

const restartable = real === undefined || process.env.TICKWIRE_STOP ? {} : { skip: 'needs TICKWIRE_STOP and TICKWIRE_START' };
const killable = process.env.TICKWIRE_KILL ? {} : { skip: 'needs TICKWIRE_KILL' };
/** What the real server's venue does by itself: the fake one is bent by hand. */
const alone = real !== undefined ? {} : { skip: 'needs a server whose bars are amended by themselves' };

prepare({ market: { pauses: PAUSES } });

beforeEach(async () => {
  await reopen();
});

const seconds = (time) => Date.parse(time) / 1000;
const iso = (time) => new Date(time * 1000).toISOString();

/** How the page writes the start of a bar. */
const instant = (start) => `${iso(start).slice(0, 10)} ${iso(start).slice(11, start % 60 === 0 ? 16 : 19)}`;

/** A shown number, and half of its last digit: what it may be off by. */
function shownNumber(text) {
  const [, digits, unit] = /^[+]?([−\d,.]+)([KMBT]?)(?: %)?$/.exec(text) ?? assert.fail(`no number: ${text}`);
  const scale = { '': 1, K: 1e3, M: 1e6, B: 1e9, T: 1e12 }[unit];
  const decimals = digits.split('.')[1]?.length ?? 0;
  return { value: Number(digits.replaceAll(',', '').replace('−', '-')) * scale, half: (0.5001 * scale) / 10 ** decimals };
}

function assertShown(text, value, name) {
  if (value === null || value === undefined) return assert.equal(text, '–', name);
  const shown = shownNumber(text);
  assert.ok(Math.abs(shown.value - value) <= shown.half, `${name}: ${text} is not ${value}`);
}

/** Repeats a comparison of the page with REST, which are asked one after the other while bars move, until it holds once. */
async function agreeing(compare) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await compare();
    } catch (error) {
      if (attempt === 40) throw error;
      const { bars } = await look(page);
      await until(page, (seen, volume) => seen.bars.at(-1).volume !== volume, bars.at(-1).volume);
    }
  }
}

/** The bar in the legend has REST's values, and the indicators are REST's. */
async function assertLegendEqualsRest() {
  const { legend, selection, bars } = await look(page);
  const { start, end } = bars.find((bar) => instant(bar.start) === legend.time);
  const range = `window=${selection.window}&start_time=${iso(end - 1)}&end_time=${iso(end)}&empty=ok`;
  const [bar] = await fetchJson(`api/v1/aggregated/${selection.symbol}?${range}`);
  const [before] = await fetchJson(`api/v1/aggregated/${selection.symbol}?window=${selection.window}&end_time=${iso(start)}&limit=1&empty=ok`);
  for (const name of ['open', 'high', 'low', 'close']) assert.equal(shownNumber(legend[name]).value, bar[name], name);
  assertShown(legend.vwap, bar.vwap, 'vwap');
  assertShown(legend.volume, bar.volume, 'volume');
  assertShown(legend.trades, bar.trade_count, 'trades');
  assertShown(legend.change, (bar.close / before.close - 1) * 100, 'change');
  assert.ok(legend.state.startsWith(bar.revision > 0 ? `${bar.state} · revision ${bar.revision} · ` : `${bar.state} · `), legend.state);
  if (bar.origin === 'vendor') assert.match(legend.state, / · the venue’s own bar/);
  else assert.equal(shownNumber(/coverage ([\d.]+ %)/.exec(legend.state)[1]).value, Math.floor(bar.coverage * 1000) / 10);
  const [indicators] = await fetchJson(`api/v1/indicators/${selection.symbol}?${range}`);
  for (const name of ['sma_20', 'sma_50', 'sma_200', 'ema_12', 'ema_26', 'rsi_14', 'macd', 'macd_signal', 'macd_histogram', 'bb_upper', 'bb_middle', 'bb_lower']) {
    assertShown(legend[name], indicators?.[name], name);
  }
  return bar;
}

/** Puts the crosshair on a bar near the middle of the chart by mouse; where a place is empty, on one left of it. */
async function pointAtMiddle() {
  const box = await page.locator('#chart').boundingBox();
  const newest = instant((await look(page)).bars.at(-1).start);
  for (let x = box.x + box.width / 2; x > box.x; x -= 20) {
    await page.mouse.move(x, box.y + box.height / 2);
    const { legend } = await until(page, (seen, time) => seen.legend.time !== time, newest);
    if (/\d/.test(legend.close)) return;
  }
  assert.fail('no bar left of the middle');
}

/** Puts the crosshair on a bar by keyboard. */
async function pointAt(start) {
  await page.locator('#chart').focus();
  await page.keyboard.press('Escape');
  await page.keyboard.press('ArrowLeft');
  // A late trade may make a bar between the two, which is one more step.
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const { bars, legend } = await look(page);
    const from = bars.findIndex((bar) => instant(bar.start) === legend.time);
    const to = bars.findIndex((bar) => bar.start === start);
    if (from === to) break;
    for (let step = 0; step < Math.abs(from - to); step += 1) await page.keyboard.press(from > to ? 'ArrowLeft' : 'ArrowRight');
  }
  await until(page, (seen, text) => seen.legend.time === text, instant(start));
}

/** Bars of the page as REST would write them, for comparing. */
const settled = (bars) => bars.filter((bar) => bar.state !== 'forming');

/** Every settled bar that REST has in the range of the page's bars must be on the page with the same values, and no other. */
async function assertEqualsRest() {
  // Bars may close or change between the two looks; the page is right if it agrees at one moment.
  for (let attempt = 1; ; attempt += 1) {
    const { bars, candles, selection } = await look(page);
    const oldest = bars[0].start;
    const list = [];
    let path = `api/v1/aggregated/${selection.symbol}?window=${selection.window}&limit=500&include_forming=false`;
    while (path !== null) {
      const response = await fetch(new URL(path, url));
      list.push(...(await response.json()));
      path = /<([^>]*)>;\s*rel="?next/.exec(response.headers.get('link') ?? '')?.[1] ?? null;
      if (seconds(list.at(-1).window_start) <= oldest) break;
    }
    const expected = list
      .filter((bar) => seconds(bar.window_start) >= oldest)
      .reverse()
      .map(({ window_start, open, high, low, close, volume, vwap, trade_count, revision, state, coverage }) => ({ start: seconds(window_start), open, high, low, close, volume, vwap, tradeCount: trade_count, revision, state, coverage }));
    const shown = settled(bars).map(({ start, open, high, low, close, volume, vwap, tradeCount, revision, state, coverage }) => ({ start, open, high, low, close, volume, vwap, tradeCount, revision, state, coverage }));
    try {
      assert.ok(expected.length > 0);
      assert.deepEqual(shown, expected);
      // What is drawn follows what is known within a tenth of a second, which a forming bar uses.
      const drawn = candles.slice(0, shown.length).map(({ time, open, high, low, close }) => [time, open, high, low, close]);
      assert.deepEqual(drawn, shown.map(({ start, open, high, low, close }) => [start, open, high, low, close]));
      assert.ok(candles.length - shown.length <= 2, `${candles.length} candles, ${shown.length} settled bars`);
      return shown.length;
    } catch (error) {
      if (attempt === 8) throw error;
      await until(page, (seen, volume) => seen.bars.at(-1).volume !== volume, bars.at(-1).volume);
    }
  }
}

test('a candle moves, and so do the row, the strip and the title', shared, async () => {
  const first = await look(page);
  const moved = await until(page, (seen, close) => seen.candles.at(-1).close !== close, first.candles.at(-1).close);
  assert.equal(moved.connection.phase, 'live');
  await until(page, (seen, last) => seen.watchlist.some((row, index) => row.last !== last[index]), first.watchlist.map((row) => row.last));
  const { strip } = await until(page, (seen) => /\d/.test(seen.strip.rate) && /ms|s$/.test(seen.strip.p99));
  assert.equal(strip.residue, '0');
  assert.match(await page.title(), new RegExp(`${moved.selection.symbol} · Tickwire`));
  assert.deepEqual(faults, []);
});

test('values on the page equal REST, for several symbols and windows', shared, async () => {
  const { watchlist } = await look(page);
  const choices = [[watchlist[0].symbol, '1min'], [watchlist[2].symbol, '5min'], [watchlist.at(-1).symbol, '15min']];
  if (real !== undefined) choices.push([watchlist[1].symbol, '5s']);
  for (const [symbol, window] of choices) {
    await show(page, symbol, window);
    await assertEqualsRest();
    await pointAtMiddle();
    await until(page, (seen) => seen.legend.sma_20 !== '–');
    await agreeing(assertLegendEqualsRest);
  }
});

test('rows of the watchlist equal REST', shared, async () => {
  const { watchlist } = await look(page);
  for (const { symbol } of [watchlist[0], watchlist[3], watchlist.at(-1)]) {
    await agreeing(async () => {
      const latest = await fetchJson(`api/v1/latest/${symbol}`);
      const row = (await look(page)).watchlist.find((each) => each.symbol === symbol);
      assert.equal(shownNumber(row.last).value, latest.price);
      assertShown(row.change, latest.change_percent, 'change');
      assert.equal(row.feed, latest.feed);
    });
  }
});

test('symbol and window change by keyboard, search and mouse; the address keeps them', shared, async () => {
  const { watchlist, selection } = await look(page);
  const other = watchlist.find((row) => row.symbol !== selection.symbol).symbol;
  await page.keyboard.press('/');
  await page.keyboard.type(other.toLowerCase());
  await page.keyboard.press('Enter');
  await until(page, (seen, symbol) => seen.selection.symbol === symbol && seen.candles.length > 0, other);
  const windows = await page.getByRole('radio').allTextContents();
  await page.keyboard.press(String(windows.indexOf('5min') + 1));
  await until(page, (seen) => seen.selection.window === '5min' && seen.candles.length > 0);
  await assertEqualsRest();
  await page.keyboard.press(']');
  await until(page, (seen) => seen.selection.window === '15min' && seen.candles.length > 0);
  await page.keyboard.press('[');
  await until(page, (seen) => seen.selection.window === '5min' && seen.candles.length > 0);
  await page.reload();
  await until(page, (seen, symbol) => seen.selection.symbol === symbol && seen.selection.window === '5min' && seen.candles.length > 0, other);
  await page.getByRole('radio', { name: '1min', exact: true }).click();
  await until(page, (seen) => seen.selection.window === '1min' && seen.candles.length > 0);
  await page.keyboard.press('w');
  await page.keyboard.press('ArrowDown');
  const next = watchlist[watchlist.findIndex((row) => row.symbol === other) + 1]?.symbol;
  await until(page, (seen, symbol) => seen.selection.symbol === symbol, next);
  await page.getByRole('option', { name: new RegExp(`^${other} `) }).click();
  await until(page, (seen, symbol) => seen.selection.symbol === symbol && seen.candles.length > 0, other);
  assert.deepEqual(faults, []);
});

test('scrolling back loads history without a hole', shared, async () => {
  const first = await look(page);
  const before = first.bars.length;
  const box = await page.locator('#chart').boundingBox();
  await page.mouse.move(box.x + 200, box.y + 200);
  for (let drag = 0; drag < 40 && (await look(page)).bars.length < before + 400; drag += 1) {
    if ((await look(page)).history.reachedStart) break;
    await page.mouse.down();
    await page.mouse.move(box.x + box.width - 120, box.y + 200, { steps: 4 });
    await page.mouse.up();
    await page.mouse.move(box.x + 200, box.y + 200);
  }
  const seen = await look(page);
  assert.ok(seen.history.reachedStart || seen.bars.length >= before + 400, `${before} → ${seen.bars.length} bars`);
  const count = await assertEqualsRest();
  assert.ok(count >= before - 1);
  const live = page.getByRole('button', { name: 'Back to now' });
  if (await live.isVisible()) {
    await live.click();
    await live.waitFor({ state: 'hidden' });
  }
  assert.deepEqual(faults, []);
});

test('what is looked at stays where it is when older bars come in', faked, async () => {
  // Slow enough that the view can be compared before and after.
  server.delay = 700;
  try {
    const box = await page.locator('#chart').boundingBox();
    let before;
    do {
      await page.mouse.move(box.x + 200, box.y + 200);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width - 120, box.y + 200, { steps: 4 });
      await page.mouse.up();
      before = await look(page);
    } while (before.range.from > 100);
    const seen = await until(page, (now, count) => now.candles.length > count + 100, before.candles.length);
    assert.equal(seen.left, before.left);
  } finally {
    server.delay = 0;
  }
});

test('an amended bar is drawn again and marked; coverage and a void bar are seen', faked, async () => {
  const { selection, bars } = await look(page);
  const amended = market.amend(selection.symbol, selection.window, 3);
  const partial = market.uncover(selection.symbol, selection.window, 5, 0.4);
  const marks = [['amended', seconds(amended.window_start)], ['partial', seconds(partial.window_start)]];
  const seen = await until(
    page,
    (now, [high, wanted]) => now.candles.some((candle) => candle.high === high) && wanted.every(([id, time]) => now.markers.some((marker) => marker.id === id && marker.time === time)),
    [amended.high, marks],
  );
  await page.locator('#chart').focus();
  const steps = settled(seen.bars).length === seen.bars.length ? 3 : 4;
  for (let step = 0; step < steps; step += 1) await page.keyboard.press('ArrowLeft');
  const { legend } = await until(page, (now) => now.legend.state.startsWith('amended'));
  assert.match(legend.state, /^amended · revision 1 · coverage 100 % · 1 late/);
  const gone = market.void(selection.symbol, selection.window, 7);
  await until(page, (now, start) => !now.candles.some((candle) => candle.time === start), seconds(gone.window_start));
  assert.ok(bars.length > 7);
  await assertEqualsRest();
  await picture('amended');
});

test('a bar that is amended while it is on the screen is drawn again and marked, as REST has it', alone, async () => {
  const { watchlist } = await look(page);
  await show(page, watchlist[0].symbol, '5s');
  // Each bar's first closed version is remembered, until one has changed under the eyes of whoever watches.
  const amended = (seen) => {
    const closed = (window.closedBars ??= new Map());
    for (const bar of seen.bars.slice(-30)) if (bar.revision === 0 && bar.state === 'closed' && !closed.has(bar.start)) closed.set(bar.start, bar);
    const { start } = seen.bars.findLast((bar) => bar.revision > 0 && bar.volume !== (closed.get(bar.start)?.volume ?? bar.volume)) ?? {};
    window.amendedBar = start;
    return start !== undefined && seen.markers.some(({ id, time }) => id === 'amended' && time === start);
  };
  await until(page, amended, null, 60_000);
  const start = await page.evaluate(() => window.amendedBar);
  await pointAt(start);
  const bar = await agreeing(assertLegendEqualsRest);
  assert.equal(seconds(bar.window_start), start, 'a bar chosen by keyboard stays chosen while new ones come');
  assert.ok(bar.revision > 0);
  await agreeing(async () => {
    const { candles, volume, vwap } = await look(page);
    const [rest] = await fetchJson(`api/v1/aggregated/${bar.symbol}?window=5s&start_time=${iso(start + 4)}&end_time=${iso(start + 5)}`);
    const drawn = (list) => list.find((point) => point.time === start);
    const { open, high, low, close } = drawn(candles);
    assert.deepEqual([open, high, low, close, drawn(volume).value, drawn(vwap).value], [rest.open, rest.high, rest.low, rest.close, rest.volume, rest.vwap]);
  });
  await picture('amended');
  assert.deepEqual(faults, []);
});

test('a bar whose source was silent for a part of the time is marked, with its coverage', alone, async () => {
  const { watchlist } = await look(page);
  await show(page, watchlist[0].symbol, '5s');
  const { bars } = await until(page, (seen) => seen.bars.some((bar) => bar.coverage < 1 && bar.state !== 'forming'), null, 90_000);
  const { start } = bars.findLast((bar) => bar.coverage < 1 && bar.state !== 'forming');
  await until(page, (seen, time) => seen.markers.some((marker) => marker.id === 'partial' && marker.time === time), start);
  await pointAt(start);
  const bar = await agreeing(assertLegendEqualsRest);
  assert.ok(bar.coverage < 1);
  await picture('partial');
});

test('the state of a source is seen', faked, async () => {
  pauseTrading();
  try {
    for (const feed of ['quiet', 'stale', 'dead']) {
      market.setFeed('GOOG', feed);
      await until(page, (seen, state) => seen.watchlist.find((row) => row.symbol === 'GOOG').feed === state, feed);
    }
  } finally {
    resumeTrading();
  }
  await until(page, (seen) => seen.watchlist.find((row) => row.symbol === 'GOOG').feed === 'live');
});

test('a restart of the server is survived, and nothing is missing', restartable, async () => {
  const first = await look(page);
  if (real === undefined) await server.close();
  else execFileSync('sh', ['-c', process.env.TICKWIRE_STOP]);
  try {
    const lost = await until(page, (seen) => seen.connection.phase === 'waiting' && seen.strip.line.startsWith('Disconnected'));
    assert.equal(lost.connection.reason, 'server stopped');
    assert.equal(lost.strip.line, 'Disconnected: server stopped');
    await picture('disconnected');
  } finally {
    // A fault here must not become one of every test that follows.
    if (real === undefined) {
      // What happens while nobody listens: a late trade and a voided bar.
      market.amend(first.selection.symbol, first.selection.window, 4);
      market.void(first.selection.symbol, first.selection.window, 6);
      await restart();
    } else execFileSync('sh', ['-c', process.env.TICKWIRE_START]);
  }
  await until(page, (seen) => seen.connection.phase === 'live' && seen.connection.reconnects === 1, null, 30_000);
  await until(page, (seen, close) => seen.candles.at(-1).close !== close, first.candles.at(-1).close);
  if (real === undefined) {
    const bars = server.subscriptions.find((request) => request.channels.includes('bars') && request.forming !== false);
    assert.equal(bars.since.epoch, market.epoch);
    assert.ok(bars.since.seqs[`bars:${first.selection.symbol}:${first.selection.window}`] > 0);
    await until(page, (seen) => seen.markers.some(({ id }) => id === 'amended'));
  }
  await assertEqualsRest();
  assert.deepEqual(faults, []);
});

test('a crash of the server is survived: no bar is missing, none is there twice', killable, async () => {
  const { watchlist } = await look(page);
  await show(page, watchlist[0].symbol, '5s');
  execFileSync('sh', ['-c', process.env.TICKWIRE_KILL]);
  let lost;
  try {
    lost = await until(page, (seen) => seen.connection.phase === 'waiting');
    assert.equal(lost.connection.reason, 'connection lost');
  } finally {
    execFileSync('sh', ['-c', process.env.TICKWIRE_START]);
  }
  await until(page, (seen) => seen.connection.phase === 'live' && seen.connection.reconnects === 1, null, 30_000);
  // A bar that began after the crash has closed, so the join lies behind it.
  await until(page, (seen, newest) => seen.bars.some((bar) => bar.start > newest && bar.state !== 'forming'), lost.bars.at(-1).start, 30_000);
  const count = await assertEqualsRest();
  assert.ok(count >= 400, `${count} bars`);
  const { candles } = await look(page);
  assert.ok(candles.every(({ time }, index) => index === 0 || time > candles[index - 1].time));
  assert.deepEqual(faults, []);
});

test('a line that falls silent is shown as stale, then opened anew', faked, async () => {
  server.mute = true;
  await until(page, (seen) => seen.connection.phase === 'stale' && seen.strip.line.startsWith('Stale'), null, 20_000);
  server.mute = false;
  await until(page, (seen) => seen.connection.phase === 'live');
});

test('nothing is asked for again and again', faked, async () => {
  await until(page, (seen) => seen.watchlist.length > 0 && seen.strip.rate !== '–');
  await page.waitForLoadState('networkidle');
  const asked = server.requests.length;
  const { candles } = await look(page);
  // Live all the while: the price moves ten times without one request.
  let close = candles.at(-1).close;
  for (let move = 0; move < 10; move += 1) close = (await until(page, (seen, held) => seen.candles.at(-1).close !== held, close)).candles.at(-1).close;
  assert.deepEqual(askedSince(asked), []);
});

test('the example of the README hears bars that closed', alone, async () => {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  const example = /```js\n([^`]+)```/.exec(readme)[1];
  assert.ok(example.includes('ws://127.0.0.1:8001/') && example.includes('["1min"]'));
  const heard = page.waitForEvent('console', { predicate: (message) => message.type() === 'log', timeout: 30_000 });
  await page.evaluate(example.replace('ws://127.0.0.1:8001/', new URL('ws', url).href.replace('http', 'ws')).replace('["1min"]', '["5s"]'));
  assert.match((await heard).text(), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \d+(\.\d+)? (closed|amended)$/);
});

test('theme: the system’s, then the chosen one, remembered', shared, async () => {
  assert.equal((await look(page)).theme, 'dark');
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await ground();
  await page.emulateMedia({ colorScheme: 'light' });
  await until(page, (seen, was) => seen.theme === 'light' && getComputedStyle(document.body).backgroundColor !== was, dark);
  await page.emulateMedia({ colorScheme: 'dark' });
  await until(page, (seen, was) => seen.theme === 'dark' && getComputedStyle(document.body).backgroundColor === was, dark);
  await page.keyboard.press('t');
  assert.equal((await look(page)).theme, 'light');
  await page.reload();
  await until(page, (seen) => seen.candles.length > 0 && seen.theme === 'light');
  await page.keyboard.press('t');
  assert.equal((await look(page)).theme, 'dark');
});

test('the help opens and closes by keyboard', shared, async () => {
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
});

for (const [name, size] of [['desktop', { width: 1440, height: 900 }], ['phone', { width: 390, height: 844 }]]) {
  for (const theme of ['dark', 'light']) {
    test(`${name}, ${theme}: no serious fault for people who use other means, nothing cut off`, shared, async () => {
      await page.setViewportSize(size);
      if ((await look(page)).theme !== theme) await page.keyboard.press('t');
      await until(page, (seen) => seen.legend.sma_20 !== '' && /\d/.test(seen.strip.rate));
      // The rows breathe in colour while they trade; contrast is judged at rest.
      await page.emulateMedia({ reducedMotion: 'reduce' });
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
      const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
      assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`), []);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `the page is ${wide} px wider than the screen`);
      await picture(`${name}-${theme}`);
    });
  }
}
