/**
 * The chart and the controls around it: one price everywhere, indicators over and below the candles, zones, a date to go
 * to, and what can be taken along. Against the fake server or, with `TICKWIRE_URL`, a running one.
 */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { look, pixels, show, until } from './browser.mjs';
import { axe, browser, faked, faults, fetchJson, market, page, picture, prepare, reopenAnew, restart, screenshots, server, shared, url } from './suite.mjs';

const OVERLAYS = ['sma_20', 'sma_50', 'sma_200', 'ema_12', 'ema_26', 'bb_upper', 'bb_middle', 'bb_lower'];
const PANES = ['rsi_14', 'macd', 'macd_signal', 'macd_histogram'];

prepare();

beforeEach(async () => {
  market?.beginMinute();
  await reopenAnew();
  await until(page, (seen) => seen.connection.phase === 'live' && seen.candles.length > 0 && seen.watchlist.length > 0);
});

const seconds = (time) => Date.parse(time) / 1000;
const iso = (time) => new Date(time * 1000).toISOString();
const press = (name) => page.getByRole('button', { name, exact: true }).click();
/** Switches an indicator on or off by its button in the legend. */
const toggle = (label) => page.locator('.legend-indicators button', { has: page.getByText(label, { exact: true }) }).click();

/** Drags the chart to the right until the newest bar has left the screen. */
async function scrollBack() {
  const box = await page.locator('#chart').boundingBox();
  while (!(await page.getByRole('button', { name: 'Back to now' }).isVisible())) {
    await page.mouse.move(box.x + 200, box.y + 120);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width - 120, box.y + 120, { steps: 4 });
    await page.mouse.up();
  }
}

/** Pixels of a colour in the label of the price, on the axis at the right. */
async function labelPixels({ color, y }) {
  const box = await page.locator('#chart').boundingBox();
  const rows = await pixels(page, { x: box.x + box.width - 76, y: box.y + y - 6, width: 76, height: 12 });
  return rows.flat().filter((each) => each === color).length;
}

/** Points of a line that have a value, by time. */
const drawn = (line) => new Map(line.filter(({ value }) => value !== undefined).map(({ time, value }) => [time, value]));

test('header, title, watchlist and label show one price, at every moment', shared, async () => {
  const { selection, priceLine } = await look(page);
  let price = priceLine.price;
  for (let move = 0; move < 10; move += 1) {
    const seen = await until(page, (now, held) => now.priceLine.price !== held, price);
    price = seen.priceLine.price;
    const texts = [seen.priceLine.text, seen.watchlist.find(({ symbol }) => symbol === selection.symbol).last];
    assert.deepEqual(texts, [seen.legend.last, seen.legend.last]);
    // Nor does a crosshair that moves draw one of them before the others.
    await page.mouse.move(300 + move * 20, 400);
    const after = await look(page);
    assert.equal(after.priceLine.text, after.legend.last);
  }
  await until(page, (seen) => document.title.startsWith(`${seen.legend.last} `) || document.title.includes(` ${seen.legend.last} `));
});

test('scrolled back, the label still stands at the price now', shared, async () => {
  const before = await look(page);
  await scrollBack();
  const seen = await until(page, (now, price) => now.priceLine.price !== price, before.priceLine.price);
  assert.equal(seen.priceLine.text, seen.legend.last);
  assert.ok(await page.getByRole('button', { name: 'Back to now' }).isVisible(), 'the newest bar is off the screen');
});

test('the label keeps its ground while the bar that forms is not whole', faked, async () => {
  const { selection } = await look(page);
  const held = market.state.get(selection.symbol).windows[selection.window];
  await until(page, (seen) => seen.bars.at(-1).state === 'forming');
  held.forming.coverage = 0.4;
  const { priceLine, candles } = await until(page, (seen) => seen.bars.at(-1).coverage < 1 && seen.candles.at(-1).color !== undefined);
  assert.notEqual(priceLine.color, candles.at(-1).color, 'the candle is hollow, its label is not');
  for (let attempt = 1; ; attempt += 1) {
    const { priceLine: line } = await look(page);
    const count = await labelPixels(line);
    if (count > 300) break;
    // The price may have moved between the look and the picture.
    assert.ok(attempt < 10, `${count} pixels of ${line.color}`);
  }
});

test('every indicator is drawn as REST has it, over the candles and in panes', shared, async () => {
  await until(page, (seen) => seen.legend.sma_200 !== '–');
  for (const name of ['SMA 20', 'SMA 50', 'SMA 200', 'EMA 12', 'EMA 26', 'BB', 'RSI 14', 'MACD']) await toggle(name);
  const { selection, panes } = await until(page, (seen) => seen.panes.length === 2);
  assert.deepEqual(panes, ['rsi', 'macd']);
  for (let attempt = 1; ; attempt += 1) {
    const seen = await look(page);
    assert.deepEqual(Object.keys(seen.lines).sort(), [...OVERLAYS, ...PANES].sort());
    const bars = new Map(seen.bars.map(({ start, end }) => [end, start]));
    const rest = await fetchJson(`api/v1/indicators/${selection.symbol}?window=${selection.window}&start_time=${iso(seen.bars[0].start)}&end_time=${iso(seen.bars.at(-1).end)}&limit=500`);
    try {
      let compared = 0;
      for (const name of [...OVERLAYS, ...PANES]) {
        const line = drawn(seen.lines[name]);
        for (const values of rest) {
          const start = bars.get(seconds(values.timestamp));
          if (start === undefined) continue;
          assert.equal(line.get(start) ?? null, values[name], `${name} at ${values.timestamp}`);
          compared += 1;
        }
      }
      assert.ok(compared > 12 * 100, `${compared} values`);
      break;
    } catch (error) {
      // A bar may have closed between the two looks.
      if (attempt === 8) throw error;
      await until(page, (now, volume) => now.bars.at(-1).volume !== volume, seen.bars.at(-1).volume);
    }
  }
  await toggle('RSI 14');
  assert.deepEqual((await look(page)).panes, ['macd']);
  await toggle('MACD');
  assert.deepEqual((await look(page)).panes, []);
  assert.deepEqual(faults, []);
});

test('panes keep their order, whichever is switched on first, and are amended with their bars', faked, async () => {
  await until(page, (seen) => seen.legend.macd !== '–');
  await toggle('MACD');
  await toggle('RSI 14');
  const { selection, bars } = await until(page, (seen) => seen.panes.join() === 'rsi,macd');
  const titles = page.locator('.pane-title');
  await until(page, () => document.querySelectorAll('.pane-title').length === 2);
  const [rsi, macd] = [await titles.nth(0).boundingBox(), await titles.nth(1).boundingBox()];
  assert.match(await titles.nth(0).textContent(), /^RSI 14 \d/);
  assert.match(await titles.nth(1).textContent(), /^MACD 12 26 9 [−\d]/);
  assert.ok(macd.y > rsi.y + 40, 'each has its pane');
  // Values of a bar that is amended, and of the one behind it, which grew from it.
  const bar = bars.filter(({ state }) => state !== 'forming').at(-5);
  const next = bars[bars.indexOf(bar) + 1];
  const values = market.indicators(selection.symbol, selection.window).find(({ timestamp }) => seconds(timestamp) === bar.end);
  const colour = (seen, start) => seen.lines.macd_histogram.find(({ time }) => time === start).color;
  const before = await look(page);
  for (const histogram of [50, 0.000001]) {
    for (const listener of market.listeners) listener(`indicators:${selection.symbol}:${selection.window}`, { type: 'indicators', ...values, rsi_14: 81.5, macd_histogram: histogram });
    const seen = await until(page, (now, [start, value]) => now.lines.macd_histogram.find(({ time }) => time === start).value === value, [bar.start, histogram]);
    assert.equal(drawn(seen.lines.rsi_14).get(bar.start), 81.5);
    assert.equal(drawn(seen.lines.rsi_14).size, drawn(before.lines.rsi_14).size);
    // It shrinks after a high bar and grows after a low one.
    if (histogram === 50) assert.match(colour(seen, next.start), /^#.{8}$|^rgb/, 'faint');
    else assert.match(colour(seen, next.start), /^#.{6}$/, 'strong');
  }
  assert.deepEqual(faults, []);
});

test('a pane is made higher and lower by keyboard, within limits', shared, async () => {
  await toggle('RSI 14');
  const edge = page.getByRole('separator', { name: 'Height of RSI 14' });
  await edge.waitFor();
  const height = async () => Number.parseInt(await edge.getAttribute('aria-valuetext'), 10);
  /** Presses a key, and waits until the pane is higher or lower than it was. */
  const press = async (key, moves) => {
    const before = await height();
    await page.keyboard.press(key);
    await until(page, (_, [was, sign]) => sign * (Number.parseInt(document.querySelector('.pane-edge').getAttribute('aria-valuetext'), 10) - was) > 0, [before, moves]);
  };
  const painted = () => page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  const { selection } = await look(page);
  await edge.focus();
  // What comes after the page is opened, such as the legend's words, may still move the chart.
  let first;
  do {
    first = await height();
    for (let frames = 0; frames < 10; frames += 1) await painted();
  } while ((await height()) !== first);
  for (let times = 0; times < 3; times += 1) await press('ArrowUp', 1);
  const higher = await height();
  assert.ok(Math.abs(higher - first - 48) <= 3, `${first} to ${higher} pixels`);
  const share = Number(await edge.getAttribute('aria-valuenow'));
  const chart = await page.locator('#chart').boundingBox();
  assert.ok(Math.abs(share - (100 * higher) / chart.height) <= 2, `${share} percent are ${higher} of ${chart.height}`);
  while ((await height()) > 46) await press('ArrowDown', -1);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await painted();
  assert.ok((await height()) >= 29, `${await height()} pixels are left`);
  assert.deepEqual((await look(page)).selection, selection, 'the keys move nothing else');
  assert.deepEqual(faults, []);
});

test('the chart stays where it is, however much there is to say of a bar', faked, async () => {
  const { selection } = await look(page);
  market.amend(selection.symbol, selection.window, 1);
  for (const [width, height] of [[1600, 900], [1440, 900], [1280, 900], [1100, 900], [920, 900], [844, 390], [390, 844]]) {
    await page.setViewportSize({ width, height });
    await page.locator('#chart').focus();
    const topWhere = async (state) => {
      await until(page, (seen, wanted) => seen.legend.state.startsWith(wanted), state);
      return (await page.locator('#chart').boundingBox()).y;
    };
    const top = await topWhere('forming');
    for (let times = 0; times < 2; times += 1) await page.keyboard.press('ArrowLeft');
    assert.equal(await topWhere('amended · revision 1 · coverage 100 % · 1 late'), top, `${width} pixels`);
    await page.keyboard.press('Escape');
  }
});

test('the Bollinger bands are filled', faked, async () => {
  await until(page, (seen) => seen.legend.bb_upper !== '–');
  const box = await page.locator('#chart').boundingBox();
  const band = async () => {
    const rows = await pixels(page, { x: box.x, y: box.y, width: box.width - 90, height: box.height });
    // A tenth of the bands' violet on the dark ground.
    return rows.flat().filter((each) => each === '#1d1e2e').length;
  };
  assert.equal(await band(), 0);
  await toggle('BB');
  await until(page, (seen) => 'bb_lower' in seen.lines);
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  const count = await band();
  assert.ok(count > 2000, `${count} pixels`);
});

test('times are those of the zone that is chosen: UTC, the exchange’s, the reader’s', faked, async () => {
  const session = await browser.context.newCDPSession(page);
  await session.send('Emulation.setTimezoneOverride', { timezoneId: 'Asia/Kolkata' });
  await page.reload();
  await until(page, (seen) => seen.candles.length > 0 && seen.watchlist.length > 0);
  await show(page, 'AAPL', '1min');
  const zones = page.getByRole('combobox', { name: 'Time zone' });
  const wall = (start, timeZone) => new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' }).format(start * 1000);
  for (const [choice, zone, text] of [['utc', 'UTC', 'UTC'], ['exchange', 'America/New_York', 'Exchange (New York)'], ['local', 'Asia/Kolkata', /^Local \((Kolkata|Calcutta)\)$/]]) {
    await zones.selectOption(choice);
    const chosen = await zones.evaluate((select) => select.selectedOptions[0].textContent);
    if (typeof text === 'string') assert.equal(chosen, text);
    else assert.match(chosen, text);
    const now = () => (market?.now() ?? Date.now()) / 1000;
    const clock = () => wall(now(), zone).slice(11);
    const before = clock();
    const seen = await until(page, (now) => now.bars.some(({ start }) => now.legend.time !== '' && start > 0) && now.candles.length > 0);
    assert.equal(seen.legend.time, wall(seen.bars.at(-1).start, zone));
    // A minute may begin meanwhile, and the clock of the page moves once a second.
    assert.ok([before, clock(), wall(now() - 2, zone).slice(11)].includes(seen.strip.clock.slice(0, 5)), 'the clock at the bottom');
    assert.equal(seen.candles.length, seen.bars.length);
  }
  // What has no exchange stays with UTC; futures trade by Chicago.
  await zones.selectOption('exchange');
  await show(page, 'BTC-USD', '1min');
  await until(page, (seen) => seen.zone === 'UTC');
  await show(page, 'ESH4', '1min');
  await until(page, (seen) => seen.zone === 'America/Chicago');
  assert.deepEqual(faults, []);
});

test('what is looked at stays where it is when the zone changes', faked, async () => {
  await scrollBack();
  const before = await look(page);
  await page.getByRole('combobox', { name: 'Time zone' }).selectOption('exchange');
  const after = await until(page, (seen) => seen.zone === 'America/New_York');
  assert.equal(after.left, before.left);
  assert.deepEqual(after.range, before.range);
});

test('panes, zone and scale are remembered; the address names the panes', shared, async () => {
  await toggle('MACD');
  await press('Log');
  await page.getByRole('combobox', { name: 'Time zone' }).selectOption('exchange');
  assert.match(await page.evaluate(() => location.hash), /panes=macd/);
  const { selection } = await look(page);
  await page.goto('about:blank');
  await page.goto(url);
  const seen = await until(page, (now) => now.candles.length > 0 && now.panes.join() === 'macd' && now.isLogarithmic);
  assert.deepEqual(seen.selection, selection);
  assert.equal(await page.getByRole('combobox', { name: 'Time zone' }).inputValue(), 'exchange');
  // An address is stronger than what is remembered.
  await page.goto('about:blank');
  await page.goto(`${url}#/${selection.symbol}/${selection.window}?overlays=sma_50&panes=macd,rsi`);
  await until(page, (now) => now.candles.length > 0 && now.panes.join() === 'rsi,macd' && 'sma_50' in now.lines);
  await until(page, () => document.querySelectorAll('.pane-title').length === 2);
  assert.deepEqual(faults, []);
});

test('CSV has the bars on the screen, with REST’s values and the indicators that are shown', shared, async () => {
  await until(page, (seen) => seen.legend.rsi_14 !== '–');
  await toggle('RSI 14');
  const [download] = await Promise.all([page.waitForEvent('download'), press('CSV')]);
  const seen = await look(page);
  const { symbol, window } = seen.selection;
  assert.match(download.suggestedFilename(), new RegExp(`^${symbol}-${window}-\\d{4}-\\d\\d-\\d\\dT\\d\\d-\\d\\dZ\\.csv$`));
  const [head, ...lines] = (await readFile(await download.path(), 'utf8')).trimEnd().split('\n').map((line) => line.split(','));
  const rows = lines.map((line) => Object.fromEntries(head.map((name, index) => [name, line[index]])));
  const visible = Math.floor(seen.range.to) - Math.ceil(seen.range.from);
  assert.ok(rows.length > 20 && rows.length <= visible + 2, `${rows.length} rows, ${visible} places`);
  const range = `window=${window}&start_time=${rows[0].window_start}&end_time=${rows.at(-1).window_end}&limit=500`;
  const bars = await fetchJson(`api/v1/aggregated/${symbol}?${range}`);
  const indicators = new Map((await fetchJson(`api/v1/indicators/${symbol}?${range}`)).map((each) => [each.timestamp, each]));
  const expected = new Map(bars.filter(({ state }) => state !== 'forming').map((bar) => [seconds(bar.window_start), bar]));
  let compared = 0;
  for (const row of rows) {
    const bar = expected.get(seconds(row.window_start));
    // Of the bars that may still change only those are compared that have not.
    if (bar === undefined || String(bar.revision) !== row.revision || row.state === 'forming') continue;
    for (const name of head.slice(0, 18)) {
      const value = name === 'time' ? bar.window_end : bar[name];
      assert.equal(row[name], value === null ? '' : String(value), `${name} of ${row.window_start}`);
    }
    const rsi = indicators.get(bar.window_end)?.rsi_14;
    if (row.rsi_14 !== '') assert.equal(Number(row.rsi_14), rsi);
    compared += 1;
  }
  assert.ok(compared > 20, `${compared} bars`);
  assert.deepEqual(faults, []);
});

test('a picture of the chart is saved, with what it shows above it', shared, async () => {
  const [download] = await Promise.all([page.waitForEvent('download'), press('Picture')]);
  assert.match(download.suggestedFilename(), /\.png$/);
  const bytes = await readFile(await download.path());
  assert.equal(bytes.subarray(1, 4).toString(), 'PNG');
  const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
  const box = await page.locator('#chart').boundingBox();
  assert.ok(Math.abs(width - box.width) <= 2 && height > box.height + 20, `${width} × ${height}`);
  await download.saveAs(join(screenshots, 'saved.png'));
  assert.deepEqual(faults, []);
});

test('prices are logarithmic on demand, by button and key', shared, async () => {
  const log = page.getByRole('button', { name: 'Log', exact: true });
  assert.equal((await look(page)).isLogarithmic, false);
  await log.click();
  assert.equal((await look(page)).isLogarithmic, true);
  assert.equal(await log.getAttribute('aria-pressed'), 'true');
  await page.keyboard.press('l');
  assert.equal((await look(page)).isLogarithmic, false);
  assert.equal(await log.getAttribute('aria-pressed'), 'false');
});

test('the chart fills the screen on demand, with its legend and its controls', shared, async () => {
  const full = page.getByRole('button', { name: 'Full screen' });
  await full.click();
  await until(page, () => document.fullscreenElement?.id === 'stage');
  assert.equal(await full.getAttribute('aria-pressed'), 'true');
  assert.ok(await page.locator('#legend').isVisible());
  await page.keyboard.press('f');
  await until(page, () => document.fullscreenElement === null);
  assert.equal(await full.getAttribute('aria-pressed'), 'false');
});

test('a date is gone to, however far back; before the first bar it says where bars begin', faked, async () => {
  const { bars } = await look(page);
  const all = market.list((await look(page)).selection.symbol, '1min', false);
  const wanted = seconds(all.at(-200).window_start);
  assert.ok(wanted < bars[0].start, 'older than what is loaded');
  await page.keyboard.press('g');
  const dialog = page.getByRole('dialog', { name: 'Go to date' });
  const field = dialog.getByLabel('Date and time');
  await field.fill(iso(wanted).slice(0, 16));
  const asked = server.requests.length;
  await field.press('Enter');
  await dialog.waitFor({ state: 'hidden' });
  const seen = await until(page, (now, text) => now.legend.time === text, iso(wanted).slice(0, 16).replace('T', ' '));
  assert.ok(server.requests.slice(asked).filter((each) => each.includes('aggregated')).length <= 3, 'in few requests');
  const index = seen.candles.findIndex(({ time }) => time === wanted);
  assert.ok(index > seen.range.from && index < seen.range.to, `place ${index} of ${JSON.stringify(seen.range)}`);
  // The bars in between are all there.
  const expected = all.filter((bar) => seconds(bar.window_start) >= seen.bars[0].start).reverse().map((bar) => seconds(bar.window_start));
  assert.deepEqual(seen.bars.filter(({ state }) => state !== 'forming').map(({ start }) => start).slice(0, expected.length), expected);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'chart', 'the keyboard reads on from there');
  assert.match(await page.locator('#spoken').textContent(), new RegExp(`${seen.legend.time}: open`));
  // Too far.
  await page.keyboard.press('g');
  await field.fill('2001-01-01T00:00');
  await field.press('Enter');
  await dialog.getByText(/^Bars begin at \d{4}-\d\d-\d\d \d\d:\d\d\.$/).waitFor();
  await page.keyboard.press('Escape');
  const first = all.at(-1).window_start.slice(0, 16).replace('T', ' ');
  assert.equal((await look(page)).legend.time, first);
  // In the zone that is shown.
  await page.getByRole('combobox', { name: 'Time zone' }).selectOption('exchange');
  await page.getByRole('button', { name: 'Go to date' }).click();
  const local = new Intl.DateTimeFormat('sv-SE', { timeZone: 'America/New_York', dateStyle: 'short', timeStyle: 'short' }).format(wanted * 1000);
  await field.fill(local.replace(' ', 'T'));
  await field.press('Enter');
  await until(page, (now, text) => now.legend.time === text, local);
  assert.deepEqual(faults, []);
});

for (const theme of ['dark', 'light']) {
  test(`${theme}: whatever is on the screen can be read, without a connection too`, faked, async () => {
    if ((await look(page)).theme !== theme) await page.keyboard.press('t');
    await page.evaluate(axe);
    const check = async (state) => {
      const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['color-contrast'] }));
      const texts = violations.flatMap(({ nodes }) => nodes.map((node) => `${state}: ${node.html} ${node.failureSummary}`));
      assert.deepEqual(texts, []);
    };
    for (let row = 0; row < 3; row += 1) {
      await page.locator('.watch-row').nth(row).hover();
      await check('a row under the pointer');
    }
    const { selection } = await look(page);
    market.amend(selection.symbol, selection.window, 3);
    market.uncover(selection.symbol, selection.window, 4, 0.4);
    await page.locator('#chart').focus();
    for (let step = 0; step < 5; step += 1) {
      await page.keyboard.press('ArrowLeft');
      await check('a bar under the crosshair');
    }
    for (const feed of ['stale', 'dead']) {
      market.setFeed(selection.symbol, feed);
      await check(`a source that is ${feed}`);
    }
    await server.close();
    try {
      await until(page, (seen) => seen.connection.phase === 'waiting');
      await check('no connection');
    } finally {
      await restart();
    }
    await until(page, (seen) => seen.connection.phase === 'live', null, 30_000);
  });
}

for (const [name, size] of [['desktop', { width: 1440, height: 900 }], ['phone', { width: 390, height: 844 }], ['flat', { width: 844, height: 390 }]]) {
  for (const theme of ['dark', 'light']) {
    test(`${name}, ${theme}: with panes and lines nothing is cut off, and no serious fault`, shared, async () => {
      await page.setViewportSize(size);
      if ((await look(page)).theme !== theme) await page.keyboard.press('t');
      await until(page, (seen) => seen.legend.macd !== '–' && seen.legend.macd !== '');
      for (const label of ['SMA 20', 'SMA 200', 'BB', 'RSI 14', 'MACD']) await toggle(label);
      await page.emulateMedia({ reducedMotion: 'reduce' });
      await picture(`panes-${name}-${theme}`);
      const box = await page.locator('#chart').boundingBox();
      assert.ok(box.height >= size.height / 3, `the chart is ${box.height} px high`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `the page is ${wide} px wider than the screen`);
      await page.evaluate(axe);
      const check = async (state, rules) => {
        const { violations } = await page.evaluate((only) => window.axe.run(document, { resultTypes: ['violations'], ...(only && { runOnly: only }) }), rules);
        const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
        assert.deepEqual(serious.map(({ id, nodes }) => `${state}: ${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join(' ')}`), []);
      };
      await check('as it is');
      await page.keyboard.press('g');
      await page.getByRole('dialog', { name: 'Go to date' }).waitFor();
      await check('with the dialog');
      await picture(`date-${name}-${theme}`);
      await page.keyboard.press('Escape');
      await page.keyboard.press('?');
      await check('with the help');
      await page.keyboard.press('Escape');
      await page.keyboard.press('/');
      await page.keyboard.type('a');
      await check('with the search', ['color-contrast']);
      await page.keyboard.press('ArrowDown');
      await check('with a chosen match', ['color-contrast']);
    });
  }
}
