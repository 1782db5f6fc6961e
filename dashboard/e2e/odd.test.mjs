/** What is hard to show: long names, tiny and large prices, a symbol that has never traded, one that does not exist. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { look, show, until } from './browser.mjs';
import { ODD } from './fake-server.mjs';
import { faked, faults, page, picture, prepare } from './suite.mjs';

prepare({ market: { symbols: ['AAPL', ...Object.keys(ODD)], starts: ODD, minutes: 600 }, isFaked: true, isOpened: true });

/** Shows a symbol without bars. */
async function showEmpty(symbol) {
  await page.evaluate((hash) => {
    location.hash = hash;
  }, `#/${symbol}/1min`);
  await until(page, (seen, name) => seen.selection.symbol === name && seen.history.phase !== 'loading', symbol);
}

/** True when an element can be seen: hiding it changes the picture. */
async function isSeen(locator) {
  const clip = await locator.boundingBox();
  const shown = await page.screenshot({ clip });
  await locator.evaluate((element) => {
    element.style.visibility = 'hidden';
  });
  const hidden = await page.screenshot({ clip });
  await locator.evaluate((element) => {
    element.style.visibility = '';
  });
  return !shown.equals(hidden);
}

for (const [symbol, pattern] of [['PEPE-USD', /^0\.0000\d{4}$/], ['SHIB1000-USDT-PERPETUAL', /^0\.01\d{6}$/], ['BTC-USD', /^\d{2,3},\d{3}\.\d{2}$/], ['BERKSHIRE-HATHAWAY-A-PERP', /^\d{3},\d{3}\.\d{2}$/]]) {
  test(`prices of ${symbol} are shown whole`, faked, async () => {
    await show(page, symbol, '1min');
    const { legend, watchlist } = await until(page, (seen) => /\d/.test(seen.legend.last) && /\d/.test(seen.legend.open));
    for (const text of [legend.last, legend.open, legend.close, watchlist.find((row) => row.symbol === symbol).last]) assert.match(text, pattern);
    const cut = await page.evaluate(() => [...document.querySelectorAll('.watch-last, .watch-change')].filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent));
    assert.deepEqual(cut, []);
    assert.deepEqual(faults, []);
  });
}

test('a symbol that has never traded says so where its bars would be', faked, async () => {
  await showEmpty('NEW');
  const cover = page.getByText('No bars yet');
  assert.ok(await isSeen(cover), 'the words are behind the chart');
  assert.equal((await look(page)).watchlist.find((row) => row.symbol === 'NEW').last, '–');
  await picture('empty');
});

test('a search that finds nothing says so beside what was typed', faked, async () => {
  await page.keyboard.press('/');
  await page.keyboard.type('zzzz');
  await page.getByText('No symbol fits').waitFor();
  await page.keyboard.press('Escape');
  await page.getByText('No symbol fits').waitFor({ state: 'hidden' });
});

for (const [name, width, height] of [['phone', 390, 844], ['tablet', 820, 1180], ['wide', 2560, 1440], ['flat', 844, 390]]) {
  test(`long names fit a ${name} screen`, faked, async () => {
    await page.setViewportSize({ width, height });
    await show(page, 'BERKSHIRE-HATHAWAY-A-PERP', '1min');
    await until(page, (seen) => /\d/.test(seen.legend.sma_20));
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(beyond <= 0, `the page is ${beyond} px wider than the screen`);
    const chart = await page.locator('#chart').boundingBox();
    // Each window can be chosen, whichever is in view at first.
    const windows = page.getByRole('radio');
    const last = windows.last();
    await last.focus();
    await last.click();
    await until(page, (seen, name) => seen.selection.window === name, await last.textContent());
    const [button, row] = [await last.boundingBox(), await page.locator('#windows').boundingBox()];
    assert.ok(button.x >= row.x - 1 && button.x + button.width <= row.x + row.width + 1 && button.width >= 24, JSON.stringify({ button, row }));
    await windows.first().click();
    await until(page, (seen) => seen.selection.window === '1min');
    assert.ok(chart.height >= height / 3, `the chart is ${chart.height} px high`);
    await picture(`odd-${name}`);
  });
}
