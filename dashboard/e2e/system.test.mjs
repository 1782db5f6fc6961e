/** The view of the system: pushed and not polled, equal to REST, in light and dark, wide and on a phone. */

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { look, until } from './browser.mjs';
import { askedSince, axe, faked, faults, fetchJson, market, page, picture, prepare, reopen, server, shared } from './suite.mjs';

prepare({ market: { minutes: 600 } });

beforeEach(async () => {
  await reopen();
});

const opened = () => until(page, (seen) => seen.system !== null && seen.system.time !== null && seen.system.points > 2 && seen.system.ledger.length > 2);
/** A count as the page writes it. */
const number = (text) => Number(text.replaceAll(',', '').replace('−', '-'));

test('it opens by key and by button, closes by Escape, and is in the address', shared, async () => {
  await page.keyboard.press('s');
  await opened();
  assert.match(await page.evaluate(() => location.hash), /&page=system$/);
  await page.keyboard.press('Escape');
  await until(page, (seen) => seen.system === null);
  await page.getByRole('button', { name: 'System' }).click();
  await opened();
  await page.reload();
  await opened();
  await page.goBack();
  await until(page, (seen) => seen.system === null);
  assert.deepEqual(faults, []);
});

test('it is pushed: while it is open it grows by the second, and nothing is asked for', faked, async () => {
  const systems = () => server.subscriptions.filter(({ channels }) => channels.includes('system')).length;
  assert.equal([...server.sessions].some(({ topics }) => topics.has('system:*')), false, 'nobody follows it while it is closed');
  await page.keyboard.press('s');
  const { system } = await opened();
  assert.ok(systems() > 0);
  await page.waitForLoadState('networkidle');
  const asked = server.requests.length;
  await until(page, (seen, time) => seen.system.time > time + 2500, system.time);
  assert.deepEqual(askedSince(asked), []);
  await page.keyboard.press('Escape');
  await until(page, (seen) => seen.system === null);
  assert.equal([...server.sessions].some(({ topics }) => topics.has('system:*') || topics.has('ledger:*')), false, 'nobody follows it any more');
});

test('its latencies and rates equal REST’s of the same second', shared, async () => {
  await page.keyboard.press('s');
  await opened();
  for (let attempt = 1; ; attempt += 1) {
    const { system } = await look(page);
    const points = [];
    for (const name of ['latency', 'throughput']) points.push(...(await fetchJson(`api/v1/metrics/${name}?time_range=-30s`)).metrics);
    const rest = points.filter(({ time, symbol }) => symbol === '*' && Date.parse(time) === system.time);
    const shown = Object.entries(system.lines).filter(([, text]) => text !== '–');
    try {
      assert.ok(rest.length > 3, 'REST has the second');
      for (const { field, value } of rest) {
        const text = system.lines[field];
        const [, digits, unit] = /^([\d.,]+)( ms| s)?$/.exec(text) ?? assert.fail(`${field}: ${text}`);
        const seen = number(digits) * (unit === ' s' ? 1000 : 1);
        const half = (0.51 * (unit === ' s' ? 1000 : 1)) / 10 ** (digits.split('.')[1]?.length ?? 0);
        assert.ok(Math.abs(seen - value) <= half, `${field}: ${text} is not ${value}`);
      }
      assert.equal(shown.length, rest.length, 'no value that REST has not');
      break;
    } catch (error) {
      if (attempt === 20) throw error;
      await until(page, (now, time) => now.system.time > time, system.time);
    }
  }
});

test('the ledger equals REST’s, by symbol and for all', shared, async () => {
  await page.keyboard.press('s');
  await opened();
  for (let attempt = 1; ; attempt += 1) {
    const before = await fetchJson('api/v1/metrics/ledger');
    const { system } = await look(page);
    const afterwards = await fetchJson('api/v1/metrics/ledger');
    const of = ({ metrics }, symbol, field) => metrics.find((row) => row.symbol === symbol && row.field === field)?.value;
    try {
      assert.ok(system.ledger.length > 5);
      for (const row of system.ledger) {
        const symbol = row.symbol === 'All symbols' ? '*' : row.symbol;
        for (const field of ['in_bars', 'filtered', 'late', 'duplicate', 'rejected', 'cancelled', 'residue']) {
          // What is shown is up to a second old.
          const [low, high] = [of(before, symbol, field), of(afterwards, symbol, field)];
          assert.ok(number(row[field]) <= high, `${symbol} ${field}: ${row[field]} is above ${high}`);
          assert.ok(number(row[field]) >= low - 0.2 * low - 300, `${symbol} ${field}: ${row[field]} is below ${low}`);
        }
        assert.equal(row.residue, '0');
      }
      break;
    } catch (error) {
      if (attempt === 10) throw error;
    }
  }
});

test('what is set aside is counted and listed; what needs looking at stands first', faked, async () => {
  await page.keyboard.press('s');
  await opened();
  server.setAside('NVDA', 'late');
  server.setAside('NVDA', 'bad_price');
  market.setFeed('GOOG', 'stale');
  const { system } = await until(page, (seen) => seen.system.letters.letters.length === 2 && seen.system.ledger[1].symbol === 'NVDA');
  assert.equal(system.letters.count, '2 reports set aside');
  assert.deepEqual(system.letters.letters.map(([, reason, symbol]) => [reason, symbol]), [['bad_price', 'NVDA'], ['late', 'NVDA']]);
  assert.deepEqual([system.ledger[1].late, system.ledger[1].rejected, system.ledger[0].rejected], ['1', '1', '1']);
  assert.deepEqual(system.components, ['history degraded the last write took 4 s', 'log healthy']);
  await page.getByLabel('Filter symbols of the ledger').fill('goo');
  await until(page, (seen) => seen.system.ledger.length === 2 && seen.system.ledger[1].symbol === 'GOOG');
});

for (const [name, size] of [['desktop', { width: 1440, height: 900 }], ['phone', { width: 390, height: 844 }]]) {
  for (const theme of ['dark', 'light']) {
    test(`${name}, ${theme}: no serious fault for people who use other means, nothing cut off`, shared, async () => {
      await page.setViewportSize(size);
      if ((await look(page)).theme !== theme) await page.keyboard.press('t');
      await page.keyboard.press('s');
      await opened();
      await page.emulateMedia({ reducedMotion: 'reduce' });
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
      const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
      assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`), []);
      const wide = await page.evaluate(() => Math.max(document.documentElement.scrollWidth - innerWidth, document.querySelector('#system').scrollWidth - document.querySelector('#system').clientWidth));
      assert.ok(wide <= 0, `the view is ${wide} px wider than the screen`);
      await picture(`system-${name}-${theme}`);
      assert.deepEqual(faults, []);
    });
  }
}
