/**
 * The topics that the page follows, and the fewest requests that change the server's subscription to them. A topic is
 * `channel:symbol[:window]`, as in `since`.
 */

import type { WireRequest } from './wire';

/** Interval of ticks: five updates of a row per second are easy to read, whatever the market does, and cost the page little. */
const TICK_INTERVAL_MS = 200;

interface Group {
  readonly channels: Set<string>;
  readonly symbols: Set<string>;
  readonly window: string | undefined;
}

/** Topics with the same channels, symbols and window go into one frame. */
function frames(type: WireRequest['type'], topics: Iterable<string>): WireRequest[] {
  const bySymbol = new Map<string, { channels: Set<string>; symbol: string; window: string | undefined }>();
  for (const name of topics) {
    const [channel = '', symbol = '', window] = name.split(':');
    const key = `${symbol}:${window ?? ''}`;
    const entry = bySymbol.get(key) ?? { channels: new Set<string>(), symbol, window };
    entry.channels.add(channel);
    bySymbol.set(key, entry);
  }
  const groups = new Map<string, Group>();
  for (const { channels, symbol, window } of bySymbol.values()) {
    const key = `${[...channels].sort().join(',')}:${window ?? ''}`;
    const group = groups.get(key) ?? { channels, symbols: new Set<string>(), window };
    group.symbols.add(symbol);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ channels, symbols, window }) => ({
    type,
    symbols: [...symbols].sort(),
    channels: [...channels].sort(),
    ...(window === undefined ? {} : { windows: [window] }),
    ...(type === 'subscribe' && channels.has('ticks') ? { interval_ms: TICK_INTERVAL_MS } : {}),
  }));
}

export class Interests {
  #wanted = new Set<string>();
  #told = new Set<string>();

  get wanted(): ReadonlySet<string> {
    return this.#wanted;
  }

  /** Replaces the topics. */
  want(topics: Iterable<string>): void {
    this.#wanted = new Set(topics);
  }

  /** Forgets the server's subscription: a new connection has none. */
  forget(): void {
    this.#told.clear();
  }

  /**
   * Returns the requests to send now, and counts them as sent. Topics that are subscribed again resume by `since`; ticks do
   * not, since only the newest counts, which the snapshot has. New topics come first, so that no followed topic is
   * unsubscribed in between.
   */
  diff(epoch: string | null, seqs: ReadonlyMap<string, number>): WireRequest[] {
    const added = [...this.#wanted].filter((name) => !this.#told.has(name));
    const removed = [...this.#told].filter((name) => !this.#wanted.has(name));
    this.#told = new Set(this.#wanted);
    const subscribe = frames('subscribe', added).map((frame) => {
      const known: Record<string, number> = {};
      for (const [name, seq] of seqs) if (covers(frame, name)) known[name] = seq;
      return epoch === null || Object.keys(known).length === 0 ? frame : { ...frame, since: { epoch, seqs: known } };
    });
    return [...subscribe, ...frames('unsubscribe', removed)];
  }
}

function covers(frame: WireRequest, name: string): boolean {
  const [channel = '', symbol = '', window] = name.split(':');
  return (
    channel !== 'ticks' &&
    frame.channels.includes(channel) &&
    (frame.symbols.includes('*') || frame.symbols.includes(symbol)) &&
    (window === undefined || frame.windows === undefined || frame.windows.includes(window))
  );
}
