/** The watchlist: sorted by each column, pinned, searched; what its figures and lines are, beside REST. */

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { look, until } from './browser.mjs';
import { SYMBOLS } from './fake-server.mjs';
import { faked, faults, fetchJson, market, page, picture, prepare, real, reopen } from './suite.mjs';

prepare({ market: { minutes: 600 }, isFaked: true });

beforeEach(async () => {
  if (real !== undefined) return;
  await reopen();
  await page.evaluate(() => localStorage.clear());
  await page.reload();
  await until(page, (seen) => seen.candles.length > 0 && seen.watchlist.length > 0 && seen.watchlist.every((row) => row.volume !== '–'));
});

const head = (name) => page.getByRole('button', { name: new RegExp(`^${name}\\b.*: sort`) });
const names = (seen) => seen.watchlist.map((row) => row.symbol);
const number = (text) => Number(text.replaceAll(',', '').replace('−', '-').replace(/ %|K|M/, '')) * (text.endsWith('K') ? 1e3 : text.endsWith('M') ? 1e6 : 1);

for (const [name, column] of [['Last', 'last'], ['Change', 'change'], ['Vol', 'volume']]) {
  test(`a press on ${name} sorts by it, another one the other way; it is remembered`, faked, async () => {
    await head(name).focus();
    await page.keyboard.press('Enter');
    const ordered = (seen, [wanted, sign]) => {
      const values = seen.watchlist.map((row) => Number(row[wanted].replaceAll(',', '').replace('−', '-').replace(/ %|K|M/, '')) * (/K$/.test(row[wanted]) ? 1e3 : /M$/.test(row[wanted]) ? 1e6 : 1));
      return seen.sort.startsWith(wanted) && values.every((value, index) => index === 0 || sign * (value - values[index - 1]) >= 0);
    };
    await until(page, ordered, [column, -1]);
    assert.match(await head(name).getAttribute('aria-label'), /sorted descending/);
    await page.keyboard.press('Enter');
    await until(page, ordered, [column, 1]);
    await page.reload();
    await until(page, (seen, wanted) => seen.sort === `${wanted} ascending`, column);
    assert.deepEqual(faults, []);
  });
}

test('pinned symbols stand first, whatever the order; a pin is set by key and by button, and remembered', faked, async () => {
  await page.getByRole('option', { name: /^TSLA / }).click();
  await until(page, (seen) => seen.selection.symbol === 'TSLA');
  await page.keyboard.press('p');
  await until(page, (seen) => seen.watchlist[0].symbol === 'TSLA' && seen.watchlist[0].pinned === 'true');
  await page.getByRole('option', { name: /^IBM / }).click();
  await page.getByRole('button', { name: 'Pin IBM' }).click();
  const seen = await until(page, (now) => now.watchlist[0].symbol === 'IBM' && now.watchlist[1].symbol === 'TSLA');
  assert.deepEqual(names(seen).slice(2), SYMBOLS.filter((symbol) => symbol !== 'IBM' && symbol !== 'TSLA'));
  await head('Symbol').click();
  await until(page, (now) => now.watchlist[0].symbol === 'TSLA' && now.watchlist[1].symbol === 'IBM' && now.watchlist[2].symbol === 'SPY');
  await picture('pinned');
  await page.reload();
  await until(page, (now) => now.watchlist[0]?.symbol === 'TSLA' && now.watchlist[1]?.symbol === 'IBM');
  await page.getByRole('button', { name: 'Unpin IBM' }).click();
  await until(page, (now) => now.watchlist[1].symbol === 'SPY');
});

test('the keyboard moves through the list in the order that is shown', faked, async () => {
  await head('Symbol').click();
  await until(page, (seen) => seen.watchlist[0].symbol === 'TSLA');
  await page.keyboard.press('w');
  await page.keyboard.press('Home');
  await until(page, (seen) => seen.selection.symbol === 'TSLA');
  await page.keyboard.press('ArrowDown');
  await until(page, (seen) => seen.selection.symbol === 'SPY');
});

test('volume is the sum of the hour’s closed bars, and the line’s colour is that of the hour, by REST', faked, async () => {
  for (const symbol of ['AAPL', 'BTC-USD', 'TSLA']) {
    let row, volume, line;
    const isVolume = () => Math.abs(number(row.volume) - volume) <= volume * 0.01;
    // Where a minute ends or the price crosses that of an hour ago, REST and the row on the screen change one after the other.
    for (const end = Date.now() + 15_000; Date.now() < end;) {
      const bars = await fetchJson(`api/v1/aggregated/${symbol}?window=1min&limit=60&include_forming=true`);
      row = (await look(page)).watchlist.find((each) => each.symbol === symbol);
      const first = Math.floor(Date.now() / 60_000) * 60_000 - 59 * 60_000;
      const hour = bars.filter((bar) => Date.parse(bar.window_start) >= first);
      volume = hour.filter((bar) => bar.state !== 'forming').reduce((sum, bar) => sum + bar.volume, 0);
      line = ['down', 'flat', 'up'][Math.sign(hour[0].close - hour.at(-1).close) + 1];
      if (isVolume() && row.line === line) break;
    }
    assert.ok(isVolume(), `${symbol}: ${row.volume} is not ${volume}`);
    assert.equal(row.line, line, `${symbol}: its line`);
  }
});

test('a bar that is amended changes the volume of its row, though another symbol is shown', faked, async () => {
  const before = (await look(page)).watchlist.find((row) => row.symbol === 'META').volume;
  for (let amended = 0; amended < 3; amended += 1) market.amend('META', '1min', 5);
  await until(page, (seen, text) => seen.watchlist.find((row) => row.symbol === 'META').volume !== text, before);
});

test('a search whose letters are apart finds the symbol, and Enter takes the first', faked, async () => {
  await page.keyboard.press('/');
  await page.keyboard.type('nd');
  await page.keyboard.press('Enter');
  await until(page, (seen) => seen.selection.symbol === 'NVDA');
});

test('the heads say what they are of, and fit', faked, async () => {
  for (const [width, height] of [[1440, 900], [1000, 700], [390, 844]]) {
    await page.setViewportSize({ width, height });
    await page.getByText('since 00:00 UTC').waitFor();
    const over = await page.evaluate(() => {
      const boxes = [...document.querySelectorAll('.watch-head > *')].map((each) => ({ name: each.textContent, ...each.getBoundingClientRect().toJSON() })).filter(({ width: wide }) => wide > 0);
      return boxes.filter((box, index) => index > 0 && box.left < boxes[index - 1].right - 0.5).map(({ name }) => name);
    });
    assert.deepEqual(over, [], `heads overlap at ${width}`);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await picture(`watchlist-${width}`);
  }
});
