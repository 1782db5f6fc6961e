/** The view of alerts: incidents and the decisions about them, acknowledgement, silences; open ones beside the title. */

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { look, until } from './browser.mjs';
import { axe, faked, faults, fetchJson, market, page, picture, prepare, real, reopenAnew, server, shared } from './suite.mjs';

prepare({ market: { minutes: 600 } });

/** On the real server, the symbol whose thresholds are low. */
const SYMBOL = 'XOM';
const SYMBOL_FAKED = 'AAPL';

beforeEach(async () => {
  if (real === undefined) {
    market.anomalies.clear();
    market.incidents.clear();
    market.decisions = [];
    market.silences = [];
    server.refusal = undefined;
    market.beginMinute();
  }
  await reopenAnew();
  await until(page, (seen) => seen.connection.phase === 'live' && seen.candles.length > 0 && seen.history.phase === 'ready');
});

const rows = (seen) => seen.alerts.incidents;
/** Opens the view and waits until it lists so many incidents. */
async function opened(count) {
  await page.keyboard.press('i');
  return listed(count);
}
const listed = (count) => until(page, (seen, wanted) => seen.alerts?.incidents.length === wanted, count);
const button = (name) => page.getByRole('button', { name });

test('the number of open ones stands in the title and in the header, as it changes', faked, async () => {
  assert.doesNotMatch(await page.title(), /^\(/);
  market.incident('AAPL', 10);
  market.incident('IBM', 10, { state: 'no_data' });
  const third = market.incident('META', 10);
  market.incident('MSFT', 10, { state: 'resolved' });
  await until(page, (seen) => seen.openAlerts === '3' && document.title.startsWith('(3) '));
  assert.equal(await page.locator('#alerts-open').getAttribute('aria-label'), 'Alerts: 3 open');
  market.incident('META', 10, { state: 'withdrawn' }, { state: 'withdrawn' });
  await until(page, (seen) => seen.openAlerts === '2' && document.title.startsWith('(2) '));
  market.incidents.clear();
  market.unusual('META', 10, { state: 'ended' });
  await until(page, (seen) => seen.openAlerts === '' && !document.title.startsWith('('));
  assert.ok(third.id.startsWith('META/'));
  assert.deepEqual(faults, []);
});

test('each incident says its state, its figures and who was told; its decisions say why', faked, async () => {
  const spiked = market.incident('AAPL', 10, { told: 'email slack' }, { severity: 'critical' });
  market.decide(spiked, 'email', 'sent');
  market.decide(spiked, 'slack', 'failed', 'fell back to pager: HTTP 500', 5);
  market.decide(spiked, 'pager', 'sent', 'in place of slack');
  market.decide(spiked, 'webhook', 'retrying', 'no answer within 10 s', 2);
  market.decide(spiked, 'email', 'held', 'cooldown: one was sent 40 s ago');
  market.incident('IBM', 20, { held: 'silenced' });
  market.incident('META', 30, { state: 'acknowledged', acknowledged_by: 'ann' });
  market.incident('MSFT', 40, { state: 'withdrawn' }, { state: 'withdrawn' });
  market.incident('TSLA', 50, { state: 'no_data' });
  const seen = await opened(5);
  assert.deepEqual(rows(seen).map(({ state }) => state), ['open', 'open', 'acknowledged', 'withdrawn', 'no_data']);
  const [first, second, third] = rows(seen).map(({ text }) => text);
  const exact = (value) => value.toLocaleString('en-US', { maximumFractionDigits: 9 });
  assert.ok(first.includes(`value ${exact(spiked.current_value)} · baseline ${exact(spiked.expected_value)} · threshold 3 × · told: email, slack`), first);
  assert.match(first, /^V AAPL Volume spike critical open/);
  assert.match(second, /held back: a silence counts/);
  assert.match(third, /acknowledged by ann/);
  assert.equal(await button(/^Acknowledge /).count(), 3, 'those that nobody has seen to');
  const decisions = button('Decisions on AAPL, Volume spike');
  await decisions.click();
  const list = page.locator('.decisions:not([hidden]) li');
  await list.nth(4).waitFor();
  const texts = (await list.allInnerTexts()).map((text) => text.replaceAll(/\s+/g, ' '));
  assert.match(texts[0], /^email held back: one was sent 40 s ago 2/);
  assert.match(texts[1], /^webhook tried 2 times, will be tried again: no answer within 10 s 2/);
  assert.match(texts[2], /^pager sent: in place of slack 2/);
  assert.match(texts[3], /^slack failed after 5 attempts: fell back to pager: HTTP 500 2/);
  assert.match(texts[4], /^email sent 2/);
  assert.equal(await decisions.getAttribute('aria-expanded'), 'true');
  await picture('alerts-decisions');
  assert.deepEqual(faults, []);
});

test('somebody says who they are and acknowledges, by keyboard; the server knows it', faked, async () => {
  const { id } = market.incident('AAPL', 10);
  await opened(1);
  await page.getByRole('textbox', { name: /^Your name/ }).fill('ann');
  await page.keyboard.press('Tab');
  await button('Acknowledge AAPL, Volume spike').focus();
  await page.keyboard.press('Enter');
  const seen = await until(page, (now) => now.alerts.incidents[0].state === 'acknowledged');
  assert.match(rows(seen)[0].text, /acknowledged by ann/);
  assert.deepEqual([market.incidents.get(id).state, market.incidents.get(id).acknowledged_by], ['acknowledged', 'ann']);
  assert.match(await page.evaluate(() => document.activeElement.textContent), /Decisions/, 'the focus is not lost with the button');
  await until(page, (now) => now.openAlerts === '');
  // The name is remembered.
  await page.reload();
  await until(page, (now) => now.alerts !== null);
  assert.equal(await page.getByRole('textbox', { name: /^Your name/ }).inputValue(), 'ann');
  assert.deepEqual(faults, []);
});

test('a silence is made of an incident, ends by itself or by hand, and is listed with its end', faked, async () => {
  market.incident('AAPL', 10);
  await opened(1);
  await page.locator('.incident').getByRole('button', { name: 'Silence' }).click();
  const dialog = page.getByRole('dialog', { name: 'New silence' });
  assert.deepEqual([await dialog.getByLabel('Symbols').inputValue(), await dialog.getByLabel('Type').inputValue()], ['AAPL', 'volume_spike']);
  await dialog.getByLabel('Ends after').selectOption('240');
  await dialog.getByLabel('Up to severity').selectOption('high');
  await dialog.getByLabel('Comment').fill('earnings');
  await dialog.getByRole('button', { name: 'Silence' }).click();
  const { alerts } = await until(page, (seen) => seen.alerts.silences.length === 1);
  assert.match(alerts.silences[0], /^AAPL · volume_spike · up to high (3 h 59 min|4 h) left until \d{4}-.* · earnings End$/);
  const [made] = market.silences;
  assert.deepEqual([made.symbols, made.types, made.max_severity], [['AAPL'], ['volume_spike'], 'high']);
  assert.ok(Math.abs(Date.parse(made.end) - market.now() - 4 * 3_600_000) < 60_000, made.end);
  // A refusal stays in the dialog, with the server's words.
  await button('New silence').click();
  server.refusal = 422;
  await dialog.getByRole('button', { name: 'Silence' }).click();
  await dialog.getByRole('alert').filter({ hasText: 'The server refuses: `refused`.' }).waitFor();
  server.refusal = undefined;
  await page.keyboard.press('Escape');
  await button(/^End the silence of AAPL/).click();
  await until(page, (seen) => seen.alerts.silences.length === 0);
  assert.deepEqual(market.silences, []);
  assert.deepEqual(faults, []);
});

test('filters list what fits; what fits none says so and leads back', faked, async () => {
  market.incident('AAPL', 10);
  market.incident('IBM', 20, { state: 'resolved' }, { severity: 'high' });
  market.incident('META', 30, {}, { anomaly_type: 'rsi_oversold' });
  await opened(3);
  await page.getByRole('combobox', { name: 'State' }).selectOption('resolved');
  assert.deepEqual(rows(await listed(1)).map(({ state }) => state), ['resolved']);
  await page.getByRole('combobox', { name: 'Severity' }).selectOption('low');
  const { alerts } = await until(page, (seen) => seen.alerts.incidents.length === 0 && seen.alerts.status !== 'Loading…');
  assert.equal(alerts.status, 'No incident fits these filters.');
  await button('Show all').click();
  await listed(3);
  await page.getByRole('searchbox', { name: 'Symbol of the incidents' }).fill('META');
  await page.keyboard.press('Enter');
  assert.match(rows(await listed(1))[0].text, /META RSI oversold/);
});

test('what is about the system and no symbol says so, and leads to no chart', faked, async () => {
  const id = '*/sink_behind/kafka/1';
  const time = new Date(market.now()).toISOString();
  market.incidents.set(id, { id, time, symbol: '*', anomaly_type: 'sink_behind', severity: 'medium', state: 'open', changed: time, description: '`kafka` has been behind for 40 s', current_value: 40, expected_value: null, threshold: 30, told: 'email', held: null, acknowledged_by: null });
  const [row] = rows(await opened(1));
  assert.match(row.text, /^S System Sink behind medium open .* value 40 · baseline – · threshold 30 s · told: email/);
  assert.equal(await button('On the chart').count(), 0);
  await page.locator('.incident').getByRole('button', { name: 'Silence' }).click();
  assert.equal(await page.getByRole('dialog').getByLabel('Symbols').inputValue(), '');
});

test('incidents equal REST’s, and what the reader does is done there', shared, async () => {
  if (real === undefined) for (const back of [5, 15, 25]) market.decide(market.incident(SYMBOL_FAKED, back, { held: 'no_route' }), '', 'held', 'no_route');
  const symbol = real === undefined ? SYMBOL_FAKED : SYMBOL;
  await page.keyboard.press('i');
  await page.getByRole('searchbox', { name: 'Symbol of the incidents' }).fill(symbol);
  await page.keyboard.press('Enter');
  await until(page, (seen) => seen.alerts?.incidents.some(({ state }) => state === 'open'), null, 120_000);
  const exact = (value) => (value === null ? '–' : Number(value.toPrecision(12)).toLocaleString('en-US', { maximumFractionDigits: 9 }));
  for (let attempt = 1; ; attempt += 1) {
    const rest = await fetchJson(`api/v1/alerts/incidents?symbol=${symbol}&limit=50&empty=ok`);
    const { alerts } = await look(page);
    try {
      assert.deepEqual(alerts.incidents.map(({ id, state }) => [id, state]), rest.map(({ id, state }) => [id, state]));
      for (const [index, row] of rest.entries()) {
        const { text } = alerts.incidents[index];
        assert.ok(text.includes(`value ${exact(row.current_value)} · baseline ${exact(row.expected_value)} · threshold ${exact(row.threshold)}`), `${text} has not the values of ${JSON.stringify(row)}`);
        assert.ok(text.includes(row.description));
      }
      break;
    } catch (error) {
      // Something may have been decided between the two looks.
      if (attempt === 20) throw error;
      await until(page, (seen, clock) => seen.strip.clock !== clock, (await look(page)).strip.clock);
    }
  }
  const { id } = (await look(page)).alerts.incidents.find(({ state }) => state === 'open');
  const row = page.locator(`[data-id="${id}"]`);
  await row.getByRole('button', { name: /^Decisions on/ }).click();
  await row.locator('.decisions li[data-status]').first().waitFor();
  await row.getByRole('button', { name: /^Acknowledge/ }).click();
  await until(page, (seen, wanted) => seen.alerts.incidents.find((each) => each.id === wanted).state === 'acknowledged', id);
  /** Asks REST until it says so. */
  const restSays = async (path, condition) => {
    for (let attempt = 1; ; attempt += 1) {
      const body = await fetchJson(path);
      if (condition(body)) return body;
      assert.ok(attempt < 30, `${path}: ${JSON.stringify(body)}`);
      await until(page, (seen, clock) => seen.strip.clock !== clock, (await look(page)).strip.clock);
    }
  };
  await restSays(`api/v1/alerts/incidents?symbol=${symbol}&empty=ok`, (list) => list.find((each) => each.id === id).state === 'acknowledged');
  await row.getByRole('button', { name: 'Silence' }).click();
  await page.getByRole('dialog', { name: 'New silence' }).getByRole('button', { name: 'Silence' }).click();
  await until(page, (seen) => seen.alerts.silences.length === 1);
  await restSays('api/v1/alerts/silences', (list) => list.length === 1 && list[0].symbols.join() === symbol);
  await button(/^End the silence of/).click();
  await until(page, (seen) => seen.alerts.silences.length === 0);
  await restSays('api/v1/alerts/silences', (list) => list.length === 0);
  await picture('alerts-rest');
  assert.deepEqual(faults, []);
});

test('pages add up', faked, async () => {
  for (let back = 1; back <= 60; back += 1) market.incident('AAPL', back, { state: 'expired' });
  await opened(50);
  await button('Older incidents').click();
  assert.equal((await listed(60)).alerts.hasMore, false);
});

test('an incident leads to its bar on the chart, of another symbol and long ago too', faked, async () => {
  const incident = market.incident('IBM', 560, {}, { severity: 'high' });
  await opened(1);
  await button('On the chart').click();
  const seen = await until(page, (now, id) => now.alerts === null && now.selection.symbol === 'IBM' && now.anomalyList?.chosen === id && now.anomalyMarks.some((mark) => mark.ids.includes(id)), incident.id, 20_000);
  assert.equal(seen.anomalyList.evidence.Severity, 'high');
  assert.match(await page.evaluate(() => location.hash), /^#\/IBM\//);
  assert.deepEqual(faults, []);
});

test('faults and empty lists say what is next; what was listed stays', faked, async () => {
  const { alerts } = await until(page, async () => true).then(() => opened(0));
  assert.ok(['Loading…'].includes(alerts.status) || alerts.status.startsWith('No incidents yet.'), alerts.status);
  await until(page, (seen) => seen.alerts.status.startsWith('No incidents yet. An anomaly makes one;'));
  market.incident('AAPL', 10);
  await listed(1);
  server.refusal = 503;
  await until(page, (seen) => seen.alerts.status.includes('The page asks again by itself') && seen.alerts.status.endsWith('What is listed is as it was before.'));
  assert.equal((await look(page)).alerts.incidents.length, 1);
  await picture('alerts-fault');
  server.refusal = 403;
  await until(page, (seen) => seen.alerts.status.startsWith('The server refuses:'));
  server.refusal = undefined;
  await until(page, (seen) => seen.alerts.status === '');
});

test('a server without alerts has no button for them, and is left alone', faked, async () => {
  server.refusal = 404;
  await page.reload();
  await until(page, (seen) => seen.candles.length > 0 && document.querySelector('#alerts-open').hidden);
  const asked = server.requests.length;
  market.unusual('AAPL', 10);
  await until(page, (seen) => seen.anomalyMarks.length === 1);
  await until(page, (seen, time) => seen.strip.clock !== time, (await look(page)).strip.clock);
  assert.deepEqual(server.requests.slice(asked).filter((each) => each.includes('/alerts')), []);
  await page.keyboard.press('i');
  await until(page, (seen) => seen.alerts?.status.startsWith('This server has no alerts'));
});

for (const [name, size] of [['desktop', { width: 1440, height: 900 }], ['phone', { width: 390, height: 844 }]]) {
  for (const theme of ['dark', 'light']) {
    test(`${name}, ${theme}: no serious fault for people who use other means, nothing cut off`, faked, async () => {
      await page.setViewportSize(size);
      if ((await look(page)).theme !== theme) await page.keyboard.press('t');
      const states = ['open', 'acknowledged', 'no_data', 'resolved', 'withdrawn', 'expired'];
      states.forEach((state, index) => market.incident('AAPL', 5 + index, { state, told: index % 2 ? 'email' : '', held: index === 4 ? 'feed_down' : null }, { severity: ['low', 'medium', 'high', 'critical'][index % 4] }));
      for (const [status, reason] of [['sent', ''], ['held', 'cooldown'], ['failed', 'HTTP 404'], ['retrying', 'HTTP 500']]) market.decide([...market.incidents.values()][0], 'slack', status, reason);
      market.silences = [{ id: 's-0', start: '2020-01-01T00:00:00Z', end: '2099-01-01T00:00:00Z', symbols: ['BTC-*'], types: [], max_severity: 'high', comment: 'earnings', created_by: 'ann' }];
      await opened(6);
      await button(/^Decisions on/).first().click();
      await page.locator('.decisions:not([hidden]) li').nth(3).waitFor();
      await until(page, (seen) => seen.openAlerts === '2');
      await page.emulateMedia({ reducedMotion: 'reduce' });
      await page.evaluate(axe);
      const check = async () => {
        const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
        const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
        assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`), []);
      };
      await check();
      const wide = await page.evaluate(() => Math.max(document.documentElement.scrollWidth - innerWidth, document.querySelector('#alerts').scrollWidth - document.querySelector('#alerts').clientWidth));
      assert.ok(wide <= 0, `the view is ${wide} px wider than the screen`);
      await picture(`alerts-${name}-${theme}`);
      await button('New silence').click();
      await check();
      await picture(`silence-${name}-${theme}`);
      assert.deepEqual(faults, []);
    });
  }
}
