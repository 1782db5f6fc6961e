/**
 * The picture in the documentation: the page of a running server, once a bar on the screen has been amended.
 * `TICKWIRE_URL=http://127.0.0.1:8050/ node e2e/picture.mjs FILE`.
 */

import { launch, open, show, until } from './browser.mjs';

const [file] = process.argv.slice(2);
const browser = await launch({ viewport: { width: 1360, height: 860 } });
try {
  const { page } = await open(browser.context, process.env.TICKWIRE_URL);
  const { watchlist } = await until(page, (seen) => seen.watchlist.length > 4);
  await show(page, watchlist[0].symbol, '1min');
  for (const name of ['SMA 50', 'BB', 'RSI 14', 'MACD']) await page.locator('.legend-indicators button', { has: page.getByText(name, { exact: true }) }).click();
  // A symbol and some minutes of trading with something to show.
  await until(page, (seen) => seen.markers.some(({ id }) => id === 'amended') && seen.legend.sma_200 !== '–' && seen.strip.p99 !== '–', null, 240_000);
  // The clicks have scrolled the row of indicators.
  await page.evaluate(() => document.querySelector('.legend-indicators').scrollTo(0, 0));
  await page.screenshot({ path: file });
} finally {
  await browser.close();
}
