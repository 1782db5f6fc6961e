/**
 * The one WebSocket: opens, notices silence, comes back by itself with jittered, capped back-off. It knows nothing of
 * topics; whoever listens subscribes anew each time it is open.
 *
 * On failure: every way to lose a connection (close, refusal, a line that is silently dead) ends in the same place, one
 * next attempt after the back-off. `settle()` resets it, called once the server has answered something useful.
 */

import type { Backoff } from '../helpers/backoff';
import type { EpochMillis } from '../helpers/nominal';
import { closeReason, type Connection, DISCONNECTED } from '../model/connection';

/** Silence after which the page asks whether the server is still there. */
const PING_AFTER_MS = 5_000;
/** Silence after which people are told that what they see is old: two unanswered questions. */
const STALE_AFTER_MS = 12_000;
/** Silence after which the line counts as dead. */
const DEAD_AFTER_MS = 25_000;
const CHECK_EVERY_MS = 1_000;

export interface SocketListener {
  /** The line is open and nothing is subscribed on it. */
  opened(): void;
  received(text: string): void;
  changed(connection: Connection): void;
}

/** What the socket needs of its surroundings; a test hands in its own. */
export interface SocketEnvironment {
  connect(address: string): WebSocket;
  now(): EpochMillis;
}

export class Socket {
  #socket: WebSocket | undefined;
  #connection: Connection = DISCONNECTED;
  #heardAt = 0;
  #askedAt = 0;
  #everLive = false;
  #accepted = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly address: string,
    private readonly backoff: Backoff,
    private readonly environment: SocketEnvironment,
    private readonly listener: SocketListener,
  ) {}

  start(): void {
    this.#watch = setInterval(() => {
      this.#checkSilence();
    }, CHECK_EVERY_MS);
    this.#open();
  }

  destroy(): void {
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    this.#release()?.close(1000);
  }

  send(frame: unknown): void {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  /** The server took the subscription: this attempt was a success. */
  settle(): void {
    this.backoff.reset();
    if (this.#connection.phase === 'live') return;
    const back = this.#connection.phase === 'connecting' && this.#everLive;
    this.#everLive = true;
    const reconnects = this.#connection.reconnects + Number(back);
    this.#become({ phase: 'live', reason: '', retryAt: null, reconnects });
  }

  /** Tries at once instead of waiting: the machine is back online, or somebody looks at the page again. */
  hurry(): void {
    if (this.#connection.phase === 'waiting') {
      clearTimeout(this.#retry);
      this.#open();
    } else {
      this.#ask();
    }
  }

  #open(): void {
    this.#become({ ...this.#connection, phase: 'connecting', retryAt: null });
    this.#heardAt = this.environment.now();
    let socket: WebSocket;
    try {
      socket = this.environment.connect(this.address);
    } catch {
      this.#lost(1006, '');
      return;
    }
    this.#socket = socket;
    socket.onopen = () => {
      this.#accepted = true;
      this.#heardAt = this.environment.now();
      this.listener.opened();
    };
    socket.onmessage = (event: MessageEvent) => {
      this.#heardAt = this.environment.now();
      if (this.#connection.phase === 'stale') this.#become({ ...this.#connection, phase: 'live' });
      if (typeof event.data === 'string') this.listener.received(event.data);
    };
    socket.onclose = (event: CloseEvent) => {
      this.#lost(event.code, event.reason);
    };
  }

  #checkSilence(): void {
    if (this.#socket === undefined) return;
    const now = this.environment.now();
    const silence = now - this.#heardAt;
    if (silence >= DEAD_AFTER_MS) {
      // A close handshake on a dead line takes minutes; the listeners are gone first, so it cannot report twice.
      this.#release()?.close();
      this.#lost(1006, 'silent');
      return;
    }
    if (silence >= PING_AFTER_MS && now - this.#askedAt >= PING_AFTER_MS) this.#ask();
    if (silence >= STALE_AFTER_MS && this.#connection.phase === 'live') this.#become({ ...this.#connection, phase: 'stale' });
  }

  #ask(): void {
    this.#askedAt = this.environment.now();
    this.send({ type: 'ping' });
  }

  #lost(code: number, reason: string): void {
    this.#release();
    // An attempt that was never accepted says nothing new: what ended the last line is still the reason.
    const known = this.#accepted ? '' : this.#connection.reason;
    this.#accepted = false;
    const { text, refused } = closeReason(code, reason);
    if (refused) this.backoff.exhaust();
    const wait = this.backoff.next();
    const retryAt = (this.environment.now() + wait) as EpochMillis;
    this.#become({ ...this.#connection, phase: 'waiting', reason: known === '' ? text : known, retryAt });
    this.#retry = setTimeout(() => {
      this.#open();
    }, wait);
  }

  /** Takes the listeners off the socket and gives it away. */
  #release(): WebSocket | undefined {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket !== undefined) socket.onopen = socket.onmessage = socket.onclose = null;
    return socket;
  }

  #become(connection: Connection): void {
    this.#connection = connection;
    this.listener.changed(connection);
  }
}
