/**
 * A server as the contract describes it, small enough to be bent: browser tests stop it, amend its bars and count what
 * the page asks for. It serves `dist/`, the REST endpoints the page uses and the WebSocket. By itself:
 * `node e2e/fake-server.mjs [port] [symbols]`.
 */

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';
import { Market, WINDOWS } from './market.mjs';

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
/** As strict as the page can bear: no inline script or style, nothing from elsewhere. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/** Frames kept a topic for those who resume. */
const HISTORY = 200;

function assetClass(symbol) {
  if (symbol.includes('-')) return 'pair';
  return symbol.startsWith('ES') ? 'future' : 'equity';
}

export class FakeServer {
  /** @param {Market} market outlives the server: a restart goes on with the same log */
  constructor(market) {
    this.market = market;
    this.requests = [];
    this.subscriptions = [];
    this.resumed = [];
    this.mute = false;
    /** Where the data come from; an older server says nothing. */
    this.origin = { data: 'simulated', provider: 'simulated' };
    /** How far the made-up past is; nothing when it is whole. */
    this.past = undefined;
    /** Milliseconds that a page of older bars takes. */
    this.delay = 0;
    /** What REST and the page are told of each second. */
    this.seconds = [];
    /** What was set aside. */
    this.letters = [];
    this.components = [{ name: 'history', status: 'degraded', message: 'the last write took 4 s' }, { name: 'log', status: 'healthy', message: '' }];
    /** The status with which alerts are refused; 404 as a server without them does. */
    this.refusal = undefined;
    this.sessions = new Set();
    this.kept = new Map();
    market.listeners.add((topic, frame) => this.#publish(topic, frame));
  }

  /** @param {number} port 0 picks a free one */
  async listen(port = 0) {
    this.http = createServer((request, response) => {
      this.#serve(request, response).catch((error) => {
        response.writeHead(500).end(String(error));
      });
    });
    this.sockets = new WebSocketServer({ server: this.http, path: '/ws' });
    this.sockets.on('connection', (socket) => this.#connect(socket));
    await new Promise((resolve) => this.http.listen(port, '127.0.0.1', resolve));
    this.port = this.http.address().port;
    this.url = `http://127.0.0.1:${this.port}/`;
    let before = this.market.received;
    this.timer = setInterval(() => {
      const rate = this.market.received - before;
      before = this.market.received;
      this.#publishSystem(rate);
      this.#publish('metrics:*', { type: 'metrics', timestamp: new Date(this.market.now()).toISOString(), ticks_per_second: rate, latency_p50_ms: 0.42, latency_p99_ms: 1.7, residue: 0, past: this.past });
    }, 1000);
    return this;
  }

  /** Stops as the real one does: clients are told, then the port is closed. */
  async close(code = 1001, reason = 'shutdown') {
    clearInterval(this.timer);
    for (const { socket } of this.sessions) socket.close(code, reason);
    await new Promise((resolve) => this.sockets.close(resolve));
    this.http.closeAllConnections();
    await new Promise((resolve) => this.http.close(resolve));
  }

  /** The ledger of a symbol: every trade counts, but for those set aside. */
  ledger(symbol) {
    const letters = this.letters.filter((letter) => letter.symbol === symbol);
    const late = letters.filter(({ reason }) => reason === 'late').length;
    const { tickSeq } = this.market.state.get(symbol);
    return { received: tickSeq + letters.length, in_bars: tickSeq, filtered: 0, late, duplicate: 0, rejected: letters.length - late, cancelled: 0, residue: 0 };
  }

  /** Sets a report of a symbol aside. */
  setAside(symbol, reason) {
    this.letters.unshift({ reason, symbol, provider: 'simulated', received_at: new Date(this.market.now()).toISOString(), payload: `{"symbol":"${symbol}"}`, log_pos: 1, origin: '' });
  }

  #totals() {
    const total = {};
    for (const symbol of this.market.symbols) for (const [name, count] of Object.entries(this.ledger(symbol))) total[name] = (total[name] ?? 0) + count;
    return total;
  }

  #ledgerFrame(symbol) {
    return { type: 'ledger', symbol, feed: this.market.state.get(symbol).feed, ledger: this.ledger(symbol) };
  }

  #publishSystem(rate) {
    const timestamp = new Date(this.market.now()).toISOString();
    const latency = {};
    for (const [index, stage] of ['received_to_logged', 'received_to_bar', 'received_to_sent'].entries()) {
      latency[`${stage}_p50_ms`] = Number((0.2 + index * 0.3 + (rate % 7) * 0.01).toFixed(2));
      latency[`${stage}_p99_ms`] = Number((1.1 + index * 0.7 + (rate % 11) * 0.1).toFixed(2));
    }
    this.seconds = [...this.seconds, { timestamp, latency, messages_per_second: rate, bars_per_second: 0.2 }].slice(-600);
    const feeds = { live: 0, quiet: 0, stale: 0, dead: 0 };
    for (const symbol of this.market.symbols) feeds[this.market.state.get(symbol).feed] += 1;
    const reasons = {};
    for (const { reason } of this.letters) reasons[reason] = (reasons[reason] ?? 0) + 1;
    this.#publish('system:*', { type: 'system', ...this.seconds.at(-1), ledger: this.#totals(), dead_letters: reasons, feeds, components: this.components });
    for (const symbol of this.market.symbols) {
      const frame = this.#ledgerFrame(symbol);
      const text = JSON.stringify(frame);
      if (this.told?.get(symbol) !== text) this.#publish(`ledger:${symbol}`, frame);
      (this.told ??= new Map()).set(symbol, text);
    }
  }

  #metrics(name) {
    const rows = [];
    const add = (time, symbol, values) => rows.push(...Object.entries(values).map(([field, value]) => ({ time, symbol, field, value })));
    if (name === 'ledger') {
      add(this.seconds.at(-1)?.timestamp, '*', this.#totals());
      for (const symbol of this.market.symbols) add(this.seconds.at(-1)?.timestamp, symbol, this.ledger(symbol));
    } else {
      for (const { timestamp, latency, messages_per_second, bars_per_second } of this.seconds) {
        add(timestamp, '*', name === 'latency' ? latency : { messages_per_second, bars_per_second });
      }
    }
    return { metrics: rows };
  }

  /** What a restart that lost its resume history does. */
  forgetHistory() {
    this.kept.clear();
  }

  #publish(topic, frame) {
    const list = this.kept.get(topic) ?? [];
    if (frame.state !== 'forming') list.push(frame);
    this.kept.set(topic, list.slice(-HISTORY));
    if (this.mute) return;
    const [channel, , window] = topic.split(':');
    for (const session of this.sessions) {
      const { topics } = session;
      const isWanted = [topic, `${channel}:*`, ...(window ? [`${channel}:*:${window}`] : [])].some((name) => topics.has(name) && (frame.state !== 'forming' || topics.get(name)));
      if (isWanted) session.queue.push(frame);
    }
  }

  #connect(socket) {
    /** Topics, and whether bars in progress are wanted with them. */
    const session = { socket, topics: new Map(), queue: [] };
    this.sessions.add(session);
    const flush = setInterval(() => {
      // Conflated as the real server does: of several forming versions of a bar only the newest counts.
      const newest = new Map();
      session.queue.forEach((frame, index) => frame.state === 'forming' && newest.set(`${frame.symbol}:${frame.window}`, index));
      session.queue.forEach((frame, index) => {
        if (frame.state !== 'forming' || newest.get(`${frame.symbol}:${frame.window}`) === index) socket.send(JSON.stringify(frame));
      });
      session.queue = [];
    }, 50);
    socket.on('close', () => {
      clearInterval(flush);
      this.sessions.delete(session);
    });
    socket.on('message', (data) => this.#request(session, JSON.parse(String(data))));
    this.#send(session, { type: 'connection', status: 'connected', timestamp: new Date(this.market.now()).toISOString(), message: 'connected', ...this.origin });
  }

  #send(session, frame) {
    if (!this.mute) session.socket.send(JSON.stringify(frame));
  }

  #request(session, request) {
    if (request.type === 'ping') return this.#send(session, { type: 'pong', timestamp: new Date(this.market.now()).toISOString() });
    const { market } = this;
    const unknown = request.symbols.filter((symbol) => symbol !== '*' && !market.state.has(symbol));
    const symbols = request.symbols.filter((symbol) => !unknown.includes(symbol));
    const topics = [];
    for (const symbol of symbols) {
      for (const channel of request.channels ?? ['ticks']) {
        if (['ticks', 'anomalies', 'metrics', 'system', 'ledger'].includes(channel)) topics.push(`${channel}:${symbol}`);
        else for (const window of (request.windows ?? Object.keys(WINDOWS)).filter((name) => name in WINDOWS)) topics.push(`${channel}:${symbol}:${window}`);
      }
    }
    if (request.type === 'unsubscribe') {
      for (const topic of topics) {
        // All symbols stand for each of them.
        const [channel, name, window] = topic.split(':');
        for (const held of [...session.topics.keys()]) {
          const [heldChannel, , heldWindow] = held.split(':');
          if (held === topic || (name === '*' && heldChannel === channel && heldWindow === window)) session.topics.delete(held);
        }
      }
      return undefined;
    }
    this.subscriptions.push(request);
    this.#send(session, { type: 'subscription', status: 'success', symbols, unknown, epoch: market.epoch, run: 'run', action: 'subscribe' });
    for (const topic of topics) session.topics.set(topic, request.forming !== false || session.topics.get(topic) === true);
    this.#resume(session, request.since);
    this.#send(session, this.#snapshot(topics));
    return undefined;
  }

  #resume(session, since) {
    if (since === undefined) return;
    const missed = [];
    let whole = since.epoch === this.market.epoch;
    for (const [topic, seq] of Object.entries(since.seqs)) {
      const kept = this.kept.get(topic) ?? [];
      const first = kept[0]?.seq ?? Infinity;
      if (first > seq + 1 && this.#seq(topic) > seq) whole = false;
      missed.push(...kept.filter((frame) => frame.seq > seq));
    }
    this.resumed.push({ since, whole, count: missed.length });
    if (whole) for (const frame of missed) this.#send(session, frame);
    else this.#send(session, { type: 'resync', epoch: this.market.epoch, topics: Object.keys(since.seqs) });
  }

  #seq(topic) {
    const [channel, symbol, window] = topic.split(':');
    const state = this.market.state.get(symbol);
    return channel === 'ticks' ? (state?.tickSeq ?? 0) : (state?.windows[window]?.seq ?? 0);
  }

  #snapshot(topics) {
    const { market } = this;
    const snapshot = { type: 'snapshot', epoch: market.epoch, ticks: [], bars: [], indicators: [] };
    for (const topic of topics) {
      const [channel, name, window] = topic.split(':');
      for (const symbol of name === '*' ? market.symbols : [name]) {
        const state = market.state.get(symbol);
        if (channel === 'ticks' && market.trades(symbol)) snapshot.ticks.push({ ...market.tickFrame(symbol), feed: state.feed });
        if (channel === 'ledger') (snapshot.ledgers ??= []).push(this.#ledgerFrame(symbol));
        if (channel === 'bars') {
          const { seq } = state.windows[window];
          snapshot.bars.push(...market.list(symbol, window, true).slice(0, 2).map((bar) => ({ type: 'bar', ...bar, seq })));
        }
      }
    }
    return snapshot;
  }

  async #serve(request, response) {
    const url = new URL(request.url, this.url);
    const [, api, version, endpoint, name] = url.pathname.split('/').map(decodeURIComponent);
    if (url.pathname === '/health') return this.#json(response, { status: 'healthy', ...this.origin, components: {}, details: { past: this.past } });
    if (api !== 'api') return this.#file(url.pathname, response);
    this.requests.push(`${request.method === 'GET' ? '' : `${request.method} `}${url.pathname}${url.search}`);
    if (version !== 'v1') return this.#problem(response, 404, 'not_found');
    const { market } = this;
    if (endpoint === 'metrics') return this.#json(response, this.#metrics(name));
    if (endpoint === 'dead-letters') return this.#json(response, this.letters.slice(0, Number(url.searchParams.get('limit'))));
    if (endpoint === 'anomalies') return this.#anomalies(url, response);
    if (endpoint === 'alerts') return this.#alerts(url, request, response);
    const symbol = name;
    if (symbol !== undefined && !market.state.has(symbol)) return this.#problem(response, 404, 'unknown_symbol');
    if (endpoint === 'symbols') return this.#json(response, { symbols: market.symbols, count: market.symbols.length, details: Object.fromEntries(market.symbols.map((each) => [each, { symbol: each, asset_class: assetClass(each) }])), windows: Object.keys(WINDOWS) });
    if (endpoint === 'latest' && symbol !== undefined) return this.#json(response, market.latest(symbol));
    if (endpoint === 'latest') return this.#json(response, market.symbols.filter((each) => market.trades(each)).map((each) => market.latest(each)));
    const window = url.searchParams.get('window') ?? '1min';
    if (!(window in WINDOWS)) return this.#problem(response, 422, 'bad_parameter');
    const instant = (key, otherwise) => (url.searchParams.has(key) ? Date.parse(url.searchParams.get(key)) : otherwise);
    const [from, to] = [instant('start_time', -Infinity), instant('end_time', Infinity)];
    if (endpoint === 'indicators') {
      const list = market.indicators(symbol, window).filter(({ timestamp }) => Date.parse(timestamp) > from && Date.parse(timestamp) <= to);
      return this.#json(response, list.reverse().slice(0, Number(url.searchParams.get('limit') ?? 500)));
    }
    if (endpoint !== 'aggregated') return this.#problem(response, 404, 'not_found');
    const cursor = url.searchParams.get('cursor');
    if (cursor !== null) await new Promise((resolve) => setTimeout(resolve, this.delay));
    const limit = Number(url.searchParams.get('limit') ?? 500);
    const bars = market
      .list(symbol, window, url.searchParams.get('include_forming') === 'true')
      .filter((bar) => cursor === null || bar.window_start < cursor)
      .filter((bar) => Date.parse(bar.window_end) > from && Date.parse(bar.window_end) <= to);
    const page = bars.slice(0, limit);
    if (bars.length > limit) {
      url.searchParams.set('cursor', page.at(-1).window_start);
      response.setHeader('link', `<${url.pathname}${url.search}>; rel="next"`);
    }
    return this.#json(response, page);
  }

  /** What was found, newest first; the cursor is the number of those that were given. */
  #anomalies(url, response) {
    const { searchParams } = url;
    const time = (key, otherwise) => (searchParams.has(key) ? Date.parse(searchParams.get(key)) : otherwise);
    const [from, to] = [time('start_time', -Infinity), time('end_time', Infinity)];
    const found = [...this.market.anomalies.values()]
      .filter(({ symbol }) => !searchParams.has('symbol') || symbol === searchParams.get('symbol'))
      .filter((anomaly) => Date.parse(anomaly.time) > from && Date.parse(anomaly.time) <= to)
      .sort((a, b) => (a.time < b.time ? 1 : -1));
    return this.#list(url, response, found);
  }

  async #alerts(url, request, response) {
    const { market } = this;
    const { searchParams } = url;
    if (this.refusal !== undefined) return this.#problem(response, this.refusal, 'refused');
    const [list, last] = url.pathname.split('/').slice(4).map(decodeURIComponent);
    if (request.method !== 'GET') return this.#changeAlerts([list, last], request, response);
    const fits = (row) => ['state', 'severity', 'symbol'].every((name) => !searchParams.has(name) || row[name] === searchParams.get(name)) && (!searchParams.has('type') || row.anomaly_type === searchParams.get('type'));
    if (list === 'silences') return this.#json(response, market.silences);
    if (list === 'incidents') return this.#list(url, response, [...market.incidents.values()].filter(fits).sort((a, b) => (a.time < b.time ? 1 : -1)));
    return this.#list(url, response, market.decisions.filter((row) => row.anomaly_id === searchParams.get('anomaly_id')));
  }

  /** What a reader does about alerts, which only a page of this server may. */
  async #changeAlerts([list, last], request, response) {
    const { market } = this;
    if (request.headers.origin !== undefined && request.headers.origin !== new URL(this.url).origin) return this.#problem(response, 403, 'origin_not_allowed');
    if (request.method === 'DELETE') {
      const ended = market.silences.find(({ id }) => id === last);
      market.silences = market.silences.filter((silence) => silence !== ended);
      return ended === undefined ? this.#problem(response, 404, 'no_data') : this.#json(response, ended);
    }
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = JSON.parse(Buffer.concat(chunks).toString());
    const now = new Date(market.now()).toISOString();
    if (list === 'silences') {
      if (!(Date.parse(body.end) > market.now())) return this.#problem(response, 422, 'bad_parameter');
      const silence = { id: `s-${market.silences.length}`, start: now, end: body.end, symbols: body.symbols ?? [], types: body.types ?? [], max_severity: body.max_severity ?? 'critical', comment: body.comment ?? '', created_by: body.by ?? '', created: now };
      market.silences.push(silence);
      return this.#json(response, silence);
    }
    const answer = { acknowledged: [], closed: [], unknown: [] };
    for (const id of body.ids) {
      const incident = market.incidents.get(id);
      const isClosed = ['resolved', 'withdrawn', 'expired'].includes(incident?.state);
      answer[incident === undefined ? 'unknown' : isClosed ? 'closed' : 'acknowledged'].push(id);
      if (incident !== undefined && !isClosed) market.incidents.set(id, { ...incident, state: 'acknowledged', acknowledged_by: body.by ?? null, changed: now });
    }
    return this.#json(response, answer);
  }

  /** A page of a list, and the address of the next one. */
  #list(url, response, found) {
    const first = Number(url.searchParams.get('cursor') ?? 0);
    const limit = Number(url.searchParams.get('limit') ?? 100);
    if (found.length > first + limit) {
      url.searchParams.set('cursor', String(first + limit));
      response.setHeader('link', `<${url.pathname}${url.search}>; rel="next"`);
    }
    return this.#json(response, found.slice(first, first + limit));
  }

  async #file(path, response) {
    const name = path === '/' ? 'index.html' : normalize(path).replace(/^(\.\.[/\\])+/, '');
    try {
      const body = await readFile(join(DIST, name));
      response.writeHead(200, { 'content-type': TYPES[extname(name)] ?? 'application/octet-stream', 'content-security-policy': POLICY }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  }

  #json(response, body) {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }

  #problem(response, status, code) {
    response.writeHead(status, { 'content-type': 'application/problem+json' }).end(JSON.stringify({ code, detail: `\`${code}\``, status }));
  }
}

/** An outage, a calm half hour and a night, in minutes before now. */
export const PAUSES = [{ from: 58, to: 40, down: true }, { from: 110, to: 85 }, { from: 1600, to: 700 }];

export const SYMBOLS = ['AAPL', 'AMZN', 'BRK.B', 'BTC-USD', 'ESH4', 'ETH-USD', 'EUR-USD', 'GOOG', 'IBM', 'META', 'MSFT', 'NVDA', 'SPY', 'TSLA'];

/** Symbols that are hard to show: a long name, prices from tiny to large, and one that has never traded. */
export const ODD = {
  'AAPL251219C00230000': { price: 12.35, digits: 2 },
  'BTC-USD': { price: 98_765.43, digits: 2 },
  'BERKSHIRE-HATHAWAY-A-PERP': { price: 712_345.5, digits: 2 },
  NEW: null,
  'PEPE-USD': { price: 0.00001234, digits: 8 },
  'SHIB1000-USDT-PERPETUAL': { price: 0.01234567, digits: 8 },
};

/** Trades at random symbols, `rate` a second; returns a function that stops them. */
export function trade(market, rate) {
  const trading = market.symbols.filter((symbol) => market.trades(symbol));
  const timer = setInterval(() => {
    for (let count = 0; count < rate / 50; count += 1) market.tick(trading[Math.floor(Math.random() * trading.length)]);
  }, 20);
  return () => clearInterval(timer);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const count = Number(process.argv[3] ?? 0);
  const symbols = count > 0 ? Array.from({ length: count }, (_, index) => `S${String(index).padStart(4, '0')}`) : SYMBOLS;
  const market = new Market({ symbols, minutes: count > 100 ? 200 : 3000, pauses: PAUSES });
  trade(market, 200);
  const server = await new FakeServer(market).listen(Number(process.argv[2] ?? 8050));
  console.log(`listening on ${server.url}`);
}
