/**
 * What the tests of a file have in common: a made-up market and the fake server that shows it, or the running one that
 * `TICKWIRE_URL` names; a browser; and a page. `prepare` sets them up before the file's first test and takes them down after
 * its last one. What is exported by `let` is what there is now: a test that opens the page anew, or restarts the server, does
 * it through the functions here.
 */

import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launch, open } from './browser.mjs';
import { FakeServer, SYMBOLS, trade } from './fake-server.mjs';
import { Market } from './market.mjs';

/** The running server, where there is one. */
export const real = process.env.TICKWIRE_URL;
/** Options of tests that only the fake server can be bent for. */
export const faked = real === undefined ? {} : { skip: 'needs the fake server' };
/** Options of tests of both servers: `TICKWIRE_ONLY_FAKED` leaves out what a run against the real one tests. */
export const shared = process.env.TICKWIRE_ONLY_FAKED && real === undefined ? { skip: 'tested against the real server' } : {};
/** The program that finds faults for people who use other means. */
export const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Where pictures of the page are kept for people to look at. */
export const screenshots = fileURLToPath(new URL('../screenshots/', import.meta.url));

/** The market and the fake server; there are none beside a running server. */
export let market, server;
/** The address of the page. */
export let url;
export let browser;
/** The page that was opened last, and what went wrong on it. */
export let page, faults;

let stopTrading, tradesPerSecond;

/**
 * Sets up what the tests of a file need.
 *
 * @param {{market?: object, rate?: number, trading?: string[], isFaked?: boolean, isOpened?: boolean}} options `market` as of [Market]; trades of
 * its symbols, or of those in `trading`, a second; `isFaked` where every test needs the fake server; `isOpened` where all tests
 * look at one page
 */
export function prepare({ market: options = {}, rate = 100, trading, isFaked = false, isOpened = false } = {}) {
  before(async () => {
    if (isFaked && real !== undefined) return;
    await mkdir(screenshots, { recursive: true });
    if (real === undefined) {
      market = new Market({ symbols: SYMBOLS, ...options });
      server = await new FakeServer(market).listen();
      tradesPerSecond = [trading === undefined ? market : { symbols: trading, trades: () => true, tick: (symbol) => market.tick(symbol) }, rate];
      resumeTrading();
    }
    url = real ?? server.url;
    browser = await launch();
    if (isOpened) await reopen();
  });
  after(async () => {
    stopTrading?.();
    await browser?.close();
    await server?.close();
  });
}

/** Opens the page, at an address where one is given, in place of the one that was open. */
export async function reopen(hash = '') {
  await page?.close();
  ({ page, faults } = await open(browser.context, `${url}${hash}`));
}

/** Opens an empty page in place of the one that was open. */
export async function openEmpty() {
  await page?.close();
  page = await browser.context.newPage();
}

/** Opens the page as somebody sees it who has never been here. */
export async function reopenAnew() {
  await reopen();
  // What a test before has switched on is remembered.
  await page.evaluate(() => localStorage.clear());
  await page.goto('about:blank');
  await page.goto(url);
}

/** Starts the fake server again on its port. */
export async function restart() {
  server = await new FakeServer(market).listen(server.port);
}

/** A tick proves that a source is alive, so a test of one that is not stops them for a while. */
export function pauseTrading() {
  stopTrading();
}

export function resumeTrading() {
  stopTrading = trade(...tradesPerSecond);
}

/** Asks the server over REST. */
export async function fetchJson(path) {
  return (await fetch(new URL(path, url))).json();
}

/**
 * What the page has asked for since so many requests, but for the one time that it asks for anomalies again (some seconds after
 * the subscription, when the history has what was said before it), and for open incidents, which nobody pushes.
 */
export function askedSince(count) {
  const asked = server.requests.slice(count).filter((each) => !/^\/api\/v1\/alerts\/incidents\?state=(open|no_data)&/.test(each));
  const again = asked.findIndex((each) => each.startsWith('/api/v1/anomalies'));
  return asked.filter((_, index) => index !== again);
}

/** Keeps a picture of the page for people to look at. */
export async function picture(name) {
  await page.screenshot({ path: join(screenshots, `${name}.png`) });
}
