/** The address and what is remembered: back and forward, a reload, a link, another visit, and an address that names nothing. */

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { look, until } from './browser.mjs';
import { faked, faults, market, page, picture, prepare, real, reopenAnew, url } from './suite.mjs';

prepare({ market: { minutes: 600 }, isFaked: true });

beforeEach(async () => {
  if (real !== undefined) return;
  market.beginMinute();
  await reopenAnew();
});

/** Opens an address as a visitor who has been here before. */
async function visit(hash) {
  // Another hash alone would not load the page again.
  await page.goto('about:blank');
  await page.goto(`${url}${hash}`);
}

const shows = (symbol, window) => until(page, (seen, [name, width]) => seen.selection?.symbol === name && seen.selection.window === width && seen.candles.length > 0, [symbol, window]);
const hash = () => page.evaluate(() => location.hash);

test('back and forward lead through what was chosen', faked, async () => {
  await shows('AAPL', '1min');
  await page.getByRole('option', { name: /^IBM / }).click();
  await shows('IBM', '1min');
  await page.getByRole('radio', { name: '5min', exact: true }).click();
  await shows('IBM', '5min');
  await page.goBack();
  await shows('IBM', '1min');
  await page.goBack();
  await shows('AAPL', '1min');
  await page.goForward();
  await page.goForward();
  await shows('IBM', '5min');
  assert.match(await hash(), /^#\/IBM\/5min\?/);
  assert.deepEqual(faults, []);
});

test('steps by keyboard are one entry, so that back leaves the list and not one symbol', faked, async () => {
  await shows('AAPL', '1min');
  await page.getByRole('option', { name: /^IBM / }).click();
  await shows('IBM', '1min');
  for (const symbol of ['META', 'MSFT', 'NVDA']) {
    await page.keyboard.press('j');
    await shows(symbol, '1min');
  }
  await page.goBack();
  await shows('IBM', '1min');
});

test('a link shows its lines to everybody, and does not change what one has chosen oneself', faked, async () => {
  await page.getByRole('button', { name: /SMA 50/ }).click();
  const own = await until(page, (seen) => 'sma_50' in seen.lines);
  assert.deepEqual(Object.keys(own.lines), ['sma_50']);
  await visit('#/MSFT/5min?overlays=ema_12,nonsense&panes=');
  await shows('MSFT', '5min');
  assert.deepEqual(Object.keys((await look(page)).lines), ['ema_12']);
  assert.equal(await page.getByRole('button', { name: /EMA 12/ }).getAttribute('aria-pressed'), 'true');
  await visit('');
  await shows('MSFT', '5min');
  assert.deepEqual(Object.keys((await look(page)).lines), ['sma_50']);
  assert.equal(await page.getByRole('button', { name: /SMA 50/ }).getAttribute('aria-pressed'), 'true');
  await page.getByRole('button', { name: /SMA 50/ }).click();
  await until(page, (seen) => Object.keys(seen.lines).length === 0);
  // Panes are there before there are bars.
  await visit('#/IBM/1min?panes=macd,rsi');
  await shows('IBM', '1min');
  assert.deepEqual((await look(page)).panes, ['rsi', 'macd']);
  assert.deepEqual(faults, []);
  await page.getByRole('button', { name: /SMA 50/ }).click();
  await page.getByRole('button', { name: /SMA 50/ }).click();
  assert.match(await hash(), /\?overlays=&/);
});

test('symbol, window, lines, panes, zone, scale and theme are there at the next visit', faked, async () => {
  await page.getByRole('option', { name: /^TSLA / }).click();
  await page.getByRole('radio', { name: '15min' }).click();
  await shows('TSLA', '15min');
  await page.getByRole('button', { name: /BB/ }).click();
  await page.getByRole('button', { name: /RSI 14/ }).click();
  await page.getByRole('combobox', { name: 'Time zone' }).selectOption('exchange');
  await page.locator('#chart').focus();
  await page.keyboard.press('l');
  await page.keyboard.press('t');
  await until(page, (seen) => seen.theme === 'light' && seen.history.phase === 'ready');
  await visit('');
  const seen = await shows('TSLA', '15min');
  assert.deepEqual(Object.keys(seen.lines).sort(), ['bb_lower', 'bb_middle', 'bb_upper', 'rsi_14']);
  assert.deepEqual([seen.panes, seen.zone, seen.isLogarithmic], [['rsi'], 'America/New_York', true]);
  assert.equal(seen.theme, 'light');
});

test('what was remembered and is gone gives way; storage that is no preferences does no harm', faked, async () => {
  await page.evaluate(() => localStorage.setItem('tickwire.preferences', JSON.stringify({ version: 1, symbol: 'GONE', window: '9min', overlays: 7 })));
  await visit('');
  await shows('AAPL', '1min');
  for (const text of ['{', 'null', '{"version":99}']) {
    await page.evaluate((held) => localStorage.setItem('tickwire.preferences', held), text);
    await visit('');
    await shows('AAPL', '1min');
  }
  assert.deepEqual(faults, []);
});

test('a symbol in another spelling is the same symbol', faked, async () => {
  await visit('#/btcusd/5min');
  await shows('BTC-USD', '5min');
});

for (const [name, address, text, button, symbol, window] of [
  ['symbol', '#/NOPE/5min', 'There is no symbol “NOPE”.', 'Show AAPL, 5min', 'AAPL', '5min'],
  ['window', '#/IBM/7min', 'There is no window “7min”.', 'Show IBM, 1min', 'IBM', '1min'],
  ['symbol and window', '#/NOPE/7min', 'There is no symbol “NOPE” and no window “7min”.', 'Show AAPL, 1min', 'AAPL', '1min'],
]) {
  test(`an unknown ${name} in the address says so and offers a way back, by keyboard too`, faked, async () => {
    await visit(address);
    await page.getByText(text).waitFor();
    await picture(`unknown-${name.replaceAll(' ', '-')}`);
    const way = page.getByRole('button', { name: button });
    await way.focus();
    await page.keyboard.press('Enter');
    await shows(symbol, window);
    await page.getByText(text).waitFor({ state: 'hidden' });
  });
}
