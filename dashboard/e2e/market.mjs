/**
 * A small made-up market for the fake server: seeded, so that two runs draw the same history. It keeps bars the way the
 * contract describes them (forming, closed, amended, void; a revision a change; a number a topic), nothing more.
 */

export const WINDOWS = { '1min': 60, '5min': 300, '15min': 900, '1h': 3600, '1d': 86_400 };

function random(seed) {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

const iso = (seconds) => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
const round = (value, digits) => Number(value.toFixed(digits));

export class Market {
  /**
   * @param {{symbols: string[], minutes?: number, seed?: number, starts?: Record<string, {price: number, digits: number} | null>, pauses?: {from: number, to: number, down?: boolean}[]}} options
   * `minutes` of history each; `starts` says where prices begin and how fine they are, or that a symbol has not traded (`null`);
   * `pauses` are the minutes before now in which nothing was traded, or nothing was heard (`down`)
   */
  constructor({ symbols, minutes = 3000, seed = 7, starts = {}, pauses = [] }) {
    this.pauses = pauses;
    this.starts = starts;
    this.symbols = symbols;
    /** Milliseconds that this clock is ahead of the machine's. */
    this.ahead = 0;
    this.epoch = `epoch-${seed}`;
    this.listeners = new Set();
    this.received = 0;
    /** What was found unusual, as it was said last, by id. */
    this.anomalies = new Map();
    /** What people are told of, what was decided about it, and what they do not want to be told. */
    this.incidents = new Map();
    this.decisions = [];
    this.silences = [];
    this.state = new Map();
    symbols.forEach((symbol, index) => this.state.set(symbol, this.#history(symbol, seed * 1000 + index * 7919, minutes)));
  }

  #history(symbol, seed, minutes) {
    const draw = random(seed);
    for (let skip = 0; skip < 8; skip += 1) draw();
    const begin = this.starts[symbol];
    const digits = begin?.digits ?? (symbol.startsWith('EUR') ? 5 : 2);
    const state = {
      symbol,
      draw,
      digits,
      price: begin?.price ?? round(digits === 5 ? 1.08 : symbol.startsWith('BTC') ? 61_250 : 20 + draw() * 480, digits),
      reference: 0,
      tickSeq: 0,
      lastTick: null,
      feed: 'live',
      windows: {},
    };
    const end = Math.floor(this.now() / 60_000) * 60;
    for (const [window, seconds] of Object.entries(WINDOWS)) state.windows[window] = { seconds, bars: new Map(), forming: null, seq: 0 };
    if (begin === null) return state;
    let drift = 0;
    for (let minute = minutes; minute >= 1; minute -= 1) {
      const start = end - minute * 60;
      if (minute === Math.min(minutes, 600)) state.reference = state.price;
      // A calm quarter of an hour now and then, so that a chart has windows without a bar.
      if (draw() < 0.002 || this.pauses.some(({ from, to }) => minute <= from && minute > to)) continue;
      const busy = 0.5 + Math.abs(Math.sin(minute / 190)) * 1.5;
      for (let trade = 0; trade < 4; trade += 1) {
        drift = drift * 0.9 + (draw() - 0.5) * 0.00004 * busy;
        this.#price(state, draw, drift);
        this.#trade(state, start + trade * 15, round(1 + draw() * 400 * busy, 0), true);
      }
    }
    for (const held of Object.values(state.windows)) {
      if (held.forming !== null && held.forming.end <= end) this.#close(state, held);
      for (const bar of held.bars.values()) bar.coverage = this.#coverage(bar, end);
      held.seq = held.bars.size;
    }
    state.lastTick = { time: end - 1, volume: 100 };
    return state;
  }

  /** Share of a bar in which the source was heard: it went down, and came back, in the middle of a minute. */
  #coverage(bar, end) {
    let missing = 0;
    for (const { from, to, down } of this.pauses) {
      if (down) missing += Math.max(0, Math.min(bar.end, end - to * 60 + 30) - Math.max(bar.start, end - from * 60 - 30));
    }
    return 1 - missing / (bar.end - bar.start);
  }

  #price(state, draw, drift) {
    const step = state.price * (drift + (draw() - 0.5) * 0.0012);
    state.price = Math.max(10 ** -state.digits, round(state.price + step, state.digits));
  }

  #trade(state, time, size, quiet = false) {
    for (const [window, held] of Object.entries(state.windows)) {
      const start = Math.floor(time / held.seconds) * held.seconds;
      if (held.forming !== null && held.forming.start < start) {
        const closed = this.#close(state, held);
        if (!quiet) {
          this.#emitBar(state, window, closed, held.seq);
          const indicators = this.indicators(state.symbol, window).at(-1);
          this.#emit(`indicators:${state.symbol}:${window}`, { type: 'indicators', ...indicators, seq: held.seq });
        }
      }
      const bar = (held.forming ??= {
        start,
        end: start + held.seconds,
        open: state.price,
        high: state.price,
        low: state.price,
        close: state.price,
        volume: 0,
        notional: 0,
        trade_count: 0,
        state: 'forming',
        revision: 0,
        coverage: 1,
        late: 0,
        duplicates: 0,
        cancelled: 0,
      });
      bar.high = Math.max(bar.high, state.price);
      bar.low = Math.min(bar.low, state.price);
      bar.close = state.price;
      bar.volume += size;
      bar.notional += size * state.price;
      bar.trade_count += 1;
      if (!quiet) this.#emitBar(state, window, bar, held.seq);
    }
  }

  #close(state, held) {
    const bar = held.forming;
    bar.state = 'closed';
    held.bars.set(bar.start, bar);
    held.forming = null;
    held.seq += 1;
    return bar;
  }

  #emit(topic, frame) {
    for (const listener of this.listeners) listener(topic, frame);
  }

  #emitBar(state, window, bar, seq) {
    this.#emit(`bars:${state.symbol}:${window}`, { type: 'bar', ...this.wire(state.symbol, window, bar), seq });
  }

  wire(symbol, window, bar) {
    const { start, end, notional, ...rest } = bar;
    const vwap = bar.volume === 0 ? null : round(notional / bar.volume, 9);
    return { time: iso(end), symbol, window, window_start: iso(start), window_end: iso(end), ...rest, vwap };
  }

  /** True when a symbol has traded. */
  trades(symbol) {
    return this.state.get(symbol).lastTick !== null;
  }

  /** Milliseconds since the epoch, by the clock of this market. */
  now() {
    return Date.now() + this.ahead;
  }

  /** Puts the clock forward to where a minute begins: what a test looks at twice then stays the same bar. */
  beginMinute() {
    this.ahead += 60_000 - (this.now() % 60_000);
  }

  /** One trade of a symbol, now. */
  tick(symbol) {
    const state = this.state.get(symbol);
    const millis = this.now();
    // A trade of many in a minute moves less than one of four.
    const price = state.price;
    this.#price(state, state.draw, 0);
    state.price = round(price + (state.price - price) / 4, state.digits);
    state.tickSeq += 1;
    state.lastTick = { time: millis / 1000, volume: round(1 + state.draw() * 24, 0) };
    this.received += 1;
    this.#emit(`ticks:${symbol}`, this.tickFrame(symbol));
    if (state.feed !== 'live') this.setFeed(symbol, 'live');
    this.#trade(state, millis / 1000, state.lastTick.volume);
  }

  tickFrame(symbol) {
    const { price, lastTick, tickSeq } = this.state.get(symbol);
    return {
      type: 'tick',
      symbol,
      price,
      volume: lastTick.volume,
      timestamp: new Date(lastTick.time * 1000).toISOString(),
      tick_type: 'trade',
      seq: tickSeq,
    };
  }

  latest(symbol) {
    const { price, reference, feed } = this.state.get(symbol);
    const { timestamp, volume } = this.tickFrame(symbol);
    const change = round(price - reference, 9);
    return { symbol, price, volume, timestamp, tick_type: 'trade', age_ms: 0, feed, change, change_percent: (change / reference) * 100 };
  }

  /** Says that the source of a symbol is in another state. */
  setFeed(symbol, feed) {
    this.state.get(symbol).feed = feed;
    this.#emit(`ticks:${symbol}`, { type: 'feed', symbol, feed });
  }

  /** A late trade changes the closed bar `back` windows ago; returns the bar as it is now. */
  amend(symbol, window, back = 2) {
    return this.#change(symbol, window, back, (bar) => {
      bar.state = 'amended';
      bar.revision += 1;
      bar.late += 1;
      bar.high = round(bar.high * 1.0008, this.state.get(symbol).digits);
      bar.volume += 500;
      bar.notional += 500 * bar.high;
      bar.trade_count += 1;
    });
  }

  /** The source was silent for a part of a closed bar. */
  uncover(symbol, window, back, coverage) {
    return this.#change(symbol, window, back, (bar) => {
      bar.coverage = coverage;
    });
  }

  /** Cancels empty a closed bar. */
  void(symbol, window, back) {
    return this.#change(symbol, window, back, (bar) => {
      bar.state = 'void';
      bar.revision += 1;
    });
  }

  #change(symbol, window, back, change) {
    const state = this.state.get(symbol);
    const held = state.windows[window];
    const bar = [...held.bars.values()].sort((a, b) => a.start - b.start).at(-back);
    change(bar);
    held.seq += 1;
    this.#emitBar(state, window, bar, held.seq);
    return this.wire(symbol, window, bar);
  }

  /**
   * Something is unusual about the closed bar `back` windows of a minute ago, or more is known of it: it is said again.
   *
   * @param {object} fields what differs from a spike of its volume
   */
  unusual(symbol, back, fields = {}) {
    const held = this.state.get(symbol).windows['1min'];
    const bar = [...held.bars.values()].sort((a, b) => a.start - b.start).at(-back);
    const type = fields.anomaly_type ?? 'volume_spike';
    const id = `${symbol}/${type}/1min/${bar.end}000000000`;
    const known = this.anomalies.get(id);
    const anomaly = {
      time: iso(bar.end),
      symbol,
      anomaly_type: type,
      severity: 'medium',
      description: '4.6 times the mean volume of 20 bars',
      current_value: bar.volume * 4.6,
      expected_value: bar.volume,
      threshold: 3,
      id,
      state: 'active',
      ...known,
      ...fields,
      metadata: { window: '1min', window_start: iso(bar.start), log_pos: String(9_007_199_254_740_993n + BigInt(back)), bar_revision: bar.revision, bars: 20, method: 'mean', ...known?.metadata, ...fields.metadata, revision: known === undefined ? 0 : known.metadata.revision + 1 },
    };
    this.anomalies.set(id, anomaly);
    this.#emit(`anomalies:${symbol}`, { type: 'anomaly', ...anomaly, seq: this.anomalies.size });
    return anomaly;
  }

  /** An anomaly becomes an incident, or the incident of an anomaly goes on; the anomaly is said first. */
  incident(symbol, back, fields = {}, anomaly = {}) {
    const { id, time, anomaly_type, severity, description, current_value, expected_value, threshold } = this.unusual(symbol, back, anomaly);
    const incident = { id, time, symbol, anomaly_type, severity, state: 'open', changed: new Date(this.now()).toISOString(), description, current_value, expected_value, threshold, told: '', held: null, acknowledged_by: null, ...this.incidents.get(id), ...fields };
    this.incidents.set(id, incident);
    return incident;
  }

  /** Something was decided about an incident. */
  decide({ id, symbol, anomaly_type, severity }, channel, status, reason = '', attempts = status === 'held' ? 0 : 1) {
    this.decisions.unshift({ id: `d-${this.decisions.length}`, time: new Date(this.now()).toISOString(), symbol, anomaly_type, severity, channel, status, reason, attempts, anomaly_id: id });
  }

  /** Bars newest first, void ones left out. */
  list(symbol, window, includeForming) {
    const held = this.state.get(symbol).windows[window];
    const bars = [...held.bars.values()].filter((bar) => bar.state !== 'void').sort((a, b) => b.start - a.start);
    if (includeForming && held.forming !== null) bars.unshift(held.forming);
    return bars.map((bar) => this.wire(symbol, window, bar));
  }

  /** Moving averages and bands of every closed bar, oldest first: enough of the real thing to draw lines. */
  indicators(symbol, window) {
    const bars = this.list(symbol, window, false).reverse();
    const closes = bars.map((bar) => bar.close);
    const mean = (index, count) => (index + 1 < count ? null : closes.slice(index + 1 - count, index + 1).reduce((a, b) => a + b, 0) / count);
    return bars.map((bar, index) => {
      const middle = mean(index, 20);
      const spread = middle === null ? null : Math.sqrt(closes.slice(index - 19, index + 1).reduce((sum, close) => sum + (close - middle) ** 2, 0) / 20) * 2;
      return {
        symbol,
        window,
        timestamp: bar.window_end,
        sma_20: middle,
        sma_50: mean(index, 50),
        sma_200: mean(index, 200),
        ema_12: mean(index, 12),
        ema_26: mean(index, 26),
        rsi_14: index < 14 ? null : 50 + Math.sin(index / 9) * 25,
        macd: index < 33 ? null : Math.sin(index / 12),
        macd_signal: index < 33 ? null : Math.sin((index - 3) / 12),
        macd_histogram: index < 33 ? null : Math.sin(index / 12) - Math.sin((index - 3) / 12),
        bb_upper: middle === null ? null : middle + spread,
        bb_middle: middle,
        bb_lower: middle === null ? null : middle - spread,
        vwap: bar.vwap,
      };
    });
  }
}
