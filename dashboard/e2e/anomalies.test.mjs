/** Anomalies on the chart: marks, the list, the evidence; as the server says them, and as it says them again. */

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { look, pixels, show, until } from './browser.mjs';
import { axe, faked, faults, fetchJson, market, page, picture, prepare, real, reopenAnew, restart, server, shared } from './suite.mjs';

prepare({ market: { minutes: 1500 } });

/** On the real server, the symbol whose thresholds are low. */
const SYMBOL = 'XOM';

beforeEach(async () => {
  market?.anomalies.clear();
  market?.beginMinute();
  await reopenAnew();
  await until(page, (seen) => seen.connection.phase === 'live' && seen.candles.length > 0 && seen.history.phase === 'ready' && seen.watchlist.length > 0);
});

const marked = (count) => until(page, (seen, wanted) => seen.anomalyMarks.length === wanted, count);
const listed = (count) => until(page, (seen, wanted) => seen.anomalyList?.rows.length === wanted, count);
/** Presses the middle of a mark. */
async function press(mark) {
  const box = await page.locator('#chart').boundingBox();
  await page.mouse.click(box.x + mark.x, box.y + mark.y);
}
const number = (text) => Number(text.replaceAll(',', '').replace('−', '-').split(' ')[0]);

test('what is found while somebody watches is marked at its bar, with the evidence on a click', faked, async () => {
  const { selection } = await look(page);
  const said = market.unusual(selection.symbol, 12, { severity: 'high' });
  const { anomalyMarks } = await marked(1);
  const [mark] = anomalyMarks;
  assert.deepEqual([mark.ids, mark.text, mark.severity, mark.isWithdrawn], [[said.id], 'V', 'high', false]);
  await page.locator('#tools button', { hasText: 'Anomalies 1' }).waitFor();
  await press(mark);
  const { anomalyList } = await listed(1);
  const { evidence } = anomalyList;
  assert.equal(number(evidence.Value), said.current_value);
  assert.equal(number(evidence.Baseline), said.expected_value);
  assert.match(evidence.Baseline, /\(mean of 20 bars\)$/);
  assert.deepEqual([evidence.Threshold, evidence.Severity, evidence.State], ['3 ×', 'high', 'active']);
  assert.deepEqual([evidence['Position in the log'], evidence['Revision of the bar'], evidence.Id], [said.metadata.log_pos, '0', said.id]);
  assert.match(evidence.Bar, /^1min from \d{4}-\d\d-\d\d \d\d:\d\d$/);
  assert.equal(Date.parse(`${evidence.Bar.slice(-16).replace(' ', 'T')}Z`), Date.parse(said.metadata.window_start));
  // What is drawn has the colour of its severity.
  const box = await page.locator('#chart').boundingBox();
  const rows = await pixels(page, { x: box.x + mark.x - 8, y: box.y + mark.y - 8, width: 16, height: 16 });
  const color = await page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--severity-high').trim());
  assert.ok(rows.flat().filter((each) => each === color).length > 40, `pixels of ${color}`);
  await picture('anomaly');
  assert.deepEqual(faults, []);
});

test('an amendment changes it, and a withdrawal strikes it out; neither drops it', faked, async () => {
  const { selection } = await look(page);
  const { id } = market.unusual(selection.symbol, 9);
  const [mark] = (await marked(1)).anomalyMarks;
  await press(mark);
  await listed(1);
  market.unusual(selection.symbol, 9, { current_value: 12_345.5, severity: 'critical', metadata: { bar_revision: 1 } });
  const changed = await until(page, (seen) => seen.anomalyMarks[0]?.severity === 'critical' && seen.anomalyList.evidence.Value === '12,345.5');
  assert.deepEqual([changed.anomalyList.evidence['Revision of the bar'], changed.anomalyList.evidence.Changed], ['1', '1 time']);
  market.unusual(selection.symbol, 9, { state: 'withdrawn' });
  const { anomalyList } = await until(page, (seen) => seen.anomalyMarks.length === 1 && seen.anomalyMarks[0].isWithdrawn);
  assert.match(anomalyList.evidence.State, /^withdrawn/);
  assert.match(anomalyList.rows[0], /withdrawn/);
  assert.equal(await page.locator('.anomaly-list s').count(), 1);
  await picture('anomaly-withdrawn');
  // It is there after a visit that never saw it live.
  await page.reload();
  const again = await marked(1);
  assert.deepEqual([again.anomalyMarks[0].ids, again.anomalyMarks[0].isWithdrawn], [[id], true]);
});

test('marks that would cover each other are one, with their number', faked, async () => {
  const { selection } = await look(page);
  for (const back of [20, 21, 22]) market.unusual(selection.symbol, back, { severity: back === 21 ? 'critical' : 'low' });
  market.unusual(selection.symbol, 22, { anomaly_type: 'rsi_overbought', description: 'RSI 81.2 is above 70', current_value: 81.2, expected_value: 50, threshold: 70, state: 'ended' });
  market.unusual(selection.symbol, 60);
  const { anomalyMarks } = await until(page, (seen) => seen.anomalyMarks.length === 2 && seen.anomalyMarks[1].ids.length === 4);
  assert.deepEqual(anomalyMarks.map(({ text, severity }) => [text, severity]), [['V', 'medium'], ['4', 'critical']]);
  await press(anomalyMarks[1]);
  const { anomalyList } = await listed(4);
  assert.equal(anomalyList.count, '4 at this place');
  await picture('anomaly-group');
  await page.getByRole('button', { name: 'All on the screen' }).click();
  assert.equal((await listed(5)).anomalyList.count, '5 on the screen');
});

test('the keyboard lists them, steps through all of them and reads them out', faked, async () => {
  const { selection } = await look(page);
  const ids = [400, 40, 10].map((back) => market.unusual(selection.symbol, back).id);
  await marked(2);
  await page.keyboard.press('a');
  await listed(2);
  // The focus is in the list; its rows are buttons in the order that is seen.
  await page.keyboard.press(',');
  await until(page, (seen, id) => seen.anomalyList.chosen === id, ids[1]);
  await page.keyboard.press(',');
  // The chart goes to where it was.
  const seen = await until(page, (now, id) => now.anomalyList.chosen === id && now.anomalyMarks.some((mark) => mark.ids.includes(id)), ids[0]);
  assert.match(await page.locator('#spoken').textContent(), /^Volume spike, medium, \d{4}-/);
  assert.equal(Date.parse(`${seen.legend.time.replace(' ', 'T')}Z`) / 1000 + 60, Date.parse(market.anomalies.get(ids[0]).time) / 1000, 'the crosshair stands on its bar');
  await page.keyboard.press('.');
  await until(page, (now, id) => now.anomalyList.chosen === id, ids[1]);
  await page.keyboard.press('Escape');
  await until(page, (now) => now.anomalyList === null);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'chart');
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('ArrowRight');
  assert.match(await page.locator('#spoken').textContent(), /anomaly: Volume spike, medium$/);
  assert.deepEqual(faults, []);
});

test('those of before come with the bars that are scrolled back to, and none is there twice', faked, async () => {
  const { selection } = await look(page);
  // Further back than two pages of bars.
  const older = market.unusual(selection.symbol, 1_200);
  market.unusual(selection.symbol, 5);
  await page.reload();
  const first = await marked(1);
  assert.deepEqual(first.anomalies.filter(({ id }) => id === older.id), [], 'it is older than the bars');
  const box = await page.locator('#chart').boundingBox();
  for (let seen = first; !seen.anomalies.some(({ id }) => id === older.id); seen = await look(page)) {
    await page.mouse.move(box.x + 100, box.y + 120);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width - 120, box.y + 120, { steps: 4 });
    await page.mouse.up();
  }
  const { anomalies } = await look(page);
  assert.equal(new Set(anomalies.map(({ id }) => id)).size, anomalies.length);
});

test('what is said while the line is down is there once it is back', faked, async () => {
  const { selection } = await look(page);
  const { id } = market.unusual(selection.symbol, 8);
  await marked(1);
  await server.close();
  await until(page, (seen) => seen.connection.phase === 'waiting');
  market.unusual(selection.symbol, 8, { state: 'withdrawn' });
  market.unusual(selection.symbol, 30);
  await restart();
  const seen = await until(page, (now) => now.connection.phase === 'live' && now.anomalyMarks.length === 2 && now.anomalyMarks[1].isWithdrawn, null, 30_000);
  assert.deepEqual(seen.anomalyMarks[1].ids, [id]);
});

test('another symbol has its own; a chart without any says so', faked, async () => {
  const { selection } = await look(page);
  market.unusual(selection.symbol, 8);
  await marked(1);
  await show(page, 'IBM', '1min');
  await marked(0);
  await page.keyboard.press('a');
  const { anomalyList } = await until(page, (seen) => seen.anomalyList !== null && seen.anomalyList.note !== 'Loading…');
  assert.equal(anomalyList.note, 'None was found in the bars of this chart.');
});

test('the marks are those that REST has, with its numbers', shared, async () => {
  let symbol = SYMBOL;
  if (real === undefined) {
    symbol = (await look(page)).selection.symbol;
    for (const back of [3, 14, 25, 80]) market.unusual(symbol, back);
  }
  await show(page, symbol, '1min');
  const shown = await until(page, (seen) => seen.anomalyMarks.length > 0 && seen.anomalies.length > 3, null, 90_000);
  assert.ok(shown.anomalyMarks.flatMap(({ ids }) => ids).every((id) => shown.anomalies.some((anomaly) => anomaly.id === id)));
  await page.keyboard.press('a');
  await until(page, (seen) => seen.anomalyList?.rows.length > 0);
  for (let attempt = 1; ; attempt += 1) {
    const rest = await fetchJson(`api/v1/anomalies?symbol=${symbol}&limit=1000`);
    const seen = await look(page);
    try {
      // The history is a moment behind what is pushed, and one may have been said since.
      const held = new Map(seen.anomalies.map((anomaly) => [anomaly.id, anomaly]));
      let compared = 0;
      for (const row of rest.filter(({ time }) => Date.parse(time) / 1000 > seen.bars[0].start)) {
        const anomaly = held.get(row.id) ?? assert.fail(`${row.id} is not shown`);
        assert.deepEqual([anomaly.value, anomaly.expected, anomaly.threshold, anomaly.severity, anomaly.state], [row.current_value, row.expected_value, row.threshold, row.severity, row.state], row.id);
        assert.equal(anomaly.evidence.logPos, row.metadata.log_pos);
        compared += 1;
      }
      assert.ok(compared > 3, `${compared} of them`);
      const { chosen, evidence } = seen.anomalyList;
      const row = rest.find(({ id }) => id === chosen) ?? assert.fail('REST has the chosen one');
      for (const [name, value] of [['Value', row.current_value], ['Baseline', row.expected_value], ['Threshold', row.threshold]]) {
        assert.ok(Math.abs(number(evidence[name]) - value) <= 1e-9 * Math.max(1, Math.abs(value)), `${name}: ${evidence[name]} is not ${value}`);
      }
      break;
    } catch (error) {
      if (attempt === 10) throw error;
      await until(page, (now, volume) => now.bars.at(-1).volume !== volume, seen.bars.at(-1).volume);
    }
  }
  await picture('anomalies-rest');
  assert.deepEqual(faults, []);
});

for (const [name, size] of [['desktop', { width: 1440, height: 900 }], ['phone', { width: 390, height: 844 }]]) {
  for (const theme of ['dark', 'light']) {
    test(`${name}, ${theme}: the list has no serious fault for people who use other means, and is not cut off`, faked, async () => {
      await page.setViewportSize(size);
      if ((await look(page)).theme !== theme) await page.keyboard.press('t');
      const { selection } = await look(page);
      ['low', 'medium', 'high', 'critical'].forEach((severity, index) => market.unusual(selection.symbol, 4 + index * 6, { severity, state: index === 1 ? 'withdrawn' : 'active' }));
      await until(page, (seen) => seen.anomalyMarks.flatMap(({ ids }) => ids).length === 4);
      await page.keyboard.press('a');
      await listed(4);
      await page.emulateMedia({ reducedMotion: 'reduce' });
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
      const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
      assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`), []);
      const inside = await page.evaluate(() => {
        const [list, chart] = ['#anomalies', '#chart'].map((each) => document.querySelector(each).getBoundingClientRect());
        const isSeen = list.left >= 0 && list.right <= innerWidth && list.top >= 0 && list.bottom <= innerHeight;
        // What is newest stays visible beside it, or above it.
        return isSeen && (list.right < chart.right - chart.width / 2 || list.top > chart.top + chart.height / 2);
      });
      assert.ok(inside, 'the list is whole, and the chart beside it');
      await picture(`anomalies-${name}-${theme}`);
      assert.deepEqual(faults, []);
    });
  }
}
