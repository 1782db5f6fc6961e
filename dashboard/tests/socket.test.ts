import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Socket } from '../src/api/socket';
import { Backoff } from '../src/helpers/backoff';
import type { EpochMillis } from '../src/helpers/nominal';
import { type Connection, DISCONNECTED } from '../src/model/connection';

/** A WebSocket whose far end the test plays. */
class FakeSocket {
  readyState = 0;
  sent: string[] = [];
  closed = false;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;

  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.closed = true;
  }
  accept(): void {
    this.readyState = 1;
    this.onopen?.();
  }
}

let sockets: FakeSocket[] = [];
let connection: Connection = DISCONNECTED;
let opened = 0;
let socket: Socket;

beforeEach(() => {
  vi.useFakeTimers();
  sockets = [];
  connection = DISCONNECTED;
  opened = 0;
  socket = new Socket(
    'ws://host/ws',
    new Backoff(500, 15_000, () => 1),
    {
      connect: () => {
        const made = new FakeSocket();
        sockets.push(made);
        return made as unknown as WebSocket;
      },
      now: () => Date.now() as EpochMillis,
    },
    {
      opened: () => {
        opened += 1;
      },
      received: () => {
        socket.settle();
      },
      changed: (next) => {
        connection = next;
      },
    },
  );
  socket.start();
});

afterEach(() => {
  socket.destroy();
  vi.useRealTimers();
});

const last = (): FakeSocket => {
  const found = sockets.at(-1);
  if (found === undefined) throw new Error('no socket was made');
  return found;
};

describe('a lost line', () => {
  test('comes back after waits that double up to the cap', () => {
    const waits: number[] = [];
    for (let attempt = 0; attempt < 8; attempt += 1) {
      last().onclose?.({ code: 1006, reason: '' });
      waits.push((connection.retryAt ?? 0) - Date.now());
      vi.advanceTimersByTime(waits.at(-1) ?? 0);
    }
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
    expect(sockets).toHaveLength(9);
  });

  test('an accepted line alone does not reset the wait; an answer does', () => {
    last().onclose?.({ code: 1006, reason: '' });
    vi.advanceTimersByTime(500);
    last().accept();
    last().onclose?.({ code: 1006, reason: '' });
    expect((connection.retryAt ?? 0) - Date.now()).toBe(1000);
    vi.advanceTimersByTime(1000);
    last().accept();
    last().onmessage?.({ data: '{}' });
    expect(connection.phase).toBe('live');
    last().onclose?.({ code: 1001, reason: 'shutdown' });
    expect((connection.retryAt ?? 0) - Date.now()).toBe(500);
    expect(connection.reason).toBe('server stopped');
    expect(opened).toBe(2);
  });

  test('attempts that are not accepted keep the reason of the loss', () => {
    last().accept();
    last().onmessage?.({ data: '{}' });
    last().onclose?.({ code: 1001, reason: 'shutdown' });
    vi.advanceTimersByTime(500);
    last().onclose?.({ code: 1006, reason: '' });
    expect(connection.reason).toBe('server stopped');
    expect(connection.phase).toBe('waiting');
  });

  test('a refusal waits long at once', () => {
    last().onclose?.({ code: 4401, reason: 'auth' });
    expect((connection.retryAt ?? 0) - Date.now()).toBe(15_000);
    expect(connection.reason).toBe('not authorised');
  });

  test('somebody who looks again does not wait', () => {
    last().onclose?.({ code: 4401, reason: 'auth' });
    socket.retryNow();
    expect(sockets).toHaveLength(2);
    vi.advanceTimersByTime(60_000);
    expect(sockets.length).toBeGreaterThan(1);
  });

  test('times up again are counted, the first one not', () => {
    last().accept();
    last().onmessage?.({ data: '{}' });
    expect(connection.reconnects).toBe(0);
    last().onclose?.({ code: 1006, reason: '' });
    vi.advanceTimersByTime(500);
    last().accept();
    last().onmessage?.({ data: '{}' });
    expect(connection.reconnects).toBe(1);
  });
});

describe('silence', () => {
  test('is asked about, then shown, then ended', () => {
    last().accept();
    last().onmessage?.({ data: '{}' });
    vi.advanceTimersByTime(6_000);
    expect(last().sent).toEqual(['{"type":"ping"}']);
    expect(connection.phase).toBe('live');
    vi.advanceTimersByTime(7_000);
    expect(connection.phase).toBe('stale');
    last().onmessage?.({ data: '{}' });
    expect(connection.phase).toBe('live');
    const first = last();
    vi.advanceTimersByTime(25_000);
    expect(first.closed).toBe(true);
    expect(connection.phase).toBe('waiting');
    expect(connection.reason).toBe('server fell silent');
  });

  test('an address that never answers is given up as well', () => {
    vi.advanceTimersByTime(26_000);
    expect(sockets.length).toBe(2);
  });
});
