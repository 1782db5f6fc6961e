/**
 * The WebSocket: connects, detects silence, and reconnects with jittered, capped back-off. It knows nothing of topics; its
 * listener subscribes each time it opens.
 *
 * On failure: every way to lose a connection (close, refusal, silence) leads to one next attempt after the back-off.
 * `settle()` resets the back-off once the server has answered something useful.
 */

import type { Backoff } from '../helpers/backoff';
import type { EpochMillis } from '../helpers/nominal';
import { closeReason, type Connection, DISCONNECTED } from '../model/connection';

/** Silence after which the page sends a ping. */
const PING_AFTER_MS = 5_000;
/** Silence after which the data is shown as stale: two unanswered pings. */
const STALE_AFTER_MS = 12_000;
/** Silence after which the connection counts as dead. */
const DEAD_AFTER_MS = 25_000;
const CHECK_EVERY_MS = 1_000;

export interface SocketListener {
  /** The connection is open, and nothing is subscribed on it yet. */
  opened(): void;
  received(text: string): void;
  changed(connection: Connection): void;
}

/** The environment of the socket; tests hand in their own. */
export interface SocketEnvironment {
  connect(address: string): WebSocket;
  now(): EpochMillis;
}

export class Socket {
  #socket: WebSocket | undefined;
  #connection: Connection = DISCONNECTED;
  #receivedAt = 0;
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

  /** Marks the attempt as successful: the server accepted the subscription. */
  settle(): void {
    this.backoff.reset();
    if (this.#connection.phase === 'live') return;
    const back = this.#connection.phase === 'connecting' && this.#everLive;
    this.#everLive = true;
    const reconnects = this.#connection.reconnects + Number(back);
    this.#become({ phase: 'live', reason: '', retryAt: null, reconnects });
  }

  /** Retries at once: the machine is back online, or the page is visible again. */
  retryNow(): void {
    if (this.#connection.phase === 'waiting') {
      clearTimeout(this.#retry);
      this.#open();
    } else {
      this.#ask();
    }
  }

  #open(): void {
    this.#become({ ...this.#connection, phase: 'connecting', retryAt: null });
    this.#receivedAt = this.environment.now();
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
      this.#receivedAt = this.environment.now();
      this.listener.opened();
    };
    socket.onmessage = (event: MessageEvent) => {
      this.#receivedAt = this.environment.now();
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
    const silence = now - this.#receivedAt;
    if (silence >= DEAD_AFTER_MS) {
      // A close handshake on a dead connection takes minutes; the listeners are gone first, so it cannot report twice.
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
    // An attempt that was never accepted adds nothing: the reason is still what ended the last connection.
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

  /** Removes the listeners from the socket and returns it. */
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
