/**
 * The topics that the page follows, and the fewest requests that change the server's subscription to them. A topic is
 * `channel:symbol[:window]`, as in `since`; `closed:symbol:window` stands for bars without those in progress.
 */

import type { WireRequest } from './wire';

/** The topic of bars that have closed. Where all bars of the same symbol and window are wanted, it is a part of those. */
const CLOSED = 'closed';

interface Group {
  readonly channels: Set<string>;
  readonly symbols: Set<string>;
  readonly window: string | undefined;
}

/** Topics with the same channels, symbols and window go into one frame. */
function frames(type: WireRequest['type'], topics: Iterable<string>, interval = 0): WireRequest[] {
  const bySymbol = new Map<string, { channels: Set<string>; symbol: string; window: string | undefined }>();
  for (const name of topics) {
    const [channel = '', symbol = '', window] = name.split(':');
    const isClosed = channel === CLOSED;
    const key = `${symbol}:${window ?? ''}:${String(isClosed)}`;
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
    channels: channels.has(CLOSED) ? ['bars'] : [...channels].sort(),
    ...(window === undefined ? {} : { windows: [window] }),
    ...(type === 'subscribe' && channels.has(CLOSED) ? { forming: false } : {}),
    ...(type === 'subscribe' && channels.has('ticks') ? { interval_ms: interval } : {}),
  }));
}

export class Interests {
  #wanted = new Set<string>();
  #told = new Set<string>();
  /** Interval of ticks, in milliseconds: as wanted, and as the server was told. */
  #interval = 0;
  #toldInterval = 0;

  get wanted(): ReadonlySet<string> {
    return this.#wanted;
  }

  /**
   * Replaces the topics.
   *
   * @param interval time between two ticks of a symbol, in milliseconds; it holds for all of them
   */
  want(topics: Iterable<string>, interval: number): void {
    this.#wanted = new Set(topics);
    for (const name of this.#wanted) if (name.startsWith(`${CLOSED}:`) && this.#wanted.has(asAll(name))) this.#wanted.delete(name);
    this.#interval = interval;
  }

  /** Forgets the server's subscription: a new connection has none. */
  forget(): void {
    this.#told.clear();
  }

  /**
   * Returns the requests to send now, and counts them as sent. Topics that are subscribed again resume by `since`; ticks do
   * not, since only the newest counts, which the snapshot has. New topics come first, so that no followed topic is
   * unsubscribed in between. Two kinds are left before that, since leaving them leaves more: all symbols, with which
   * the server leaves each of them, and bars of which only closed ones are wanted from now on.
   */
  diff(epoch: string | null, seqs: ReadonlyMap<string, number>): WireRequest[] {
    const gone = [...this.#told].filter((name) => !this.#wanted.has(name));
    const first = gone.filter((name) => isOfAll(name) || (name.startsWith('bars:') && this.#wanted.has(asClosed(name))));
    const widened = gone.filter((name) => name.startsWith(`${CLOSED}:`) && this.#wanted.has(asAll(name)) && !isOfAll(name));
    const later = gone.filter((name) => !first.includes(name) && !widened.includes(name));
    const isLost = (name: string): boolean => first.some((all) => isOfAll(all) && asAll(name).split(':')[0] === asAll(all).split(':')[0] && name.split(':')[2] === all.split(':')[2]);
    const isPaced = this.#interval === this.#toldInterval;
    const added = [...this.#wanted].filter((name) => !this.#told.has(name) || isLost(name) || (!isPaced && name.startsWith('ticks:')));
    this.#told = new Set(this.#wanted);
    this.#toldInterval = this.#interval;
    const subscribe = frames('subscribe', added, this.#interval).map((frame) => {
      // Rows ask for their hour again instead: numbers of a thousand symbols would cost more than that.
      if (frame.forming === false) return frame;
      const known: Record<string, number> = {};
      for (const [name, seq] of seqs) if (covers(frame, name)) known[name] = seq;
      return epoch === null || Object.keys(known).length === 0 ? frame : { ...frame, since: { epoch, seqs: known } };
    });
    return [...frames('unsubscribe', first), ...subscribe, ...frames('unsubscribe', later)];
  }
}

function isOfAll(name: string): boolean {
  return name.split(':')[1] === '*';
}

function asAll(closed: string): string {
  return closed.startsWith(`${CLOSED}:`) ? closed.replace(CLOSED, 'bars') : closed;
}

function asClosed(bars: string): string {
  return bars.replace('bars', CLOSED);
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
