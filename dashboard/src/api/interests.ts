/**
 * Which topics the page wants, and the fewest frames that turn what the server knows of it into that. A topic is
 * `channel:symbol[:window]`, the same name that `since` uses.
 */

import type { WireRequest } from './wire';

/** How often a row may move: five times a second is alive and calm, whatever the market does, and costs a page next to nothing. */
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

  /** Replaces what is wanted. */
  want(topics: Iterable<string>): void {
    this.#wanted = new Set(topics);
  }

  /** Forgets what the server was told: a new connection knows nothing. */
  forget(): void {
    this.#told.clear();
  }

  /**
   * Returns the frames to send now, and counts them as sent. What was heard before goes along as `since`, for the topics
   * that are subscribed anew; not of ticks, of which only the newest counts, and the snapshot has that. New topics come
   * first, so that nothing wanted is ever unsubscribed in between.
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
