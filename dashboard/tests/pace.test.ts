import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Pace } from '../src/ui/dom';

let frames: (() => void)[];

beforeEach(() => {
  vi.useFakeTimers({ now: 10_000 });
  frames = [];
  vi.stubGlobal('requestAnimationFrame', (draw: () => void) => frames.push(draw));
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function frame(): void {
  for (const draw of frames.splice(0)) draw();
}

test('the first change is drawn at once, further ones together when the interval is over', () => {
  let drawn = 0;
  const pace = new Pace(100, () => { drawn += 1; });
  for (let message = 0; message < 50; message += 1) pace.request();
  frame();
  expect(drawn).toBe(1);
  for (let message = 0; message < 50; message += 1) pace.request();
  frame();
  expect(drawn).toBe(1);
  vi.advanceTimersByTime(100);
  frame();
  expect(drawn).toBe(2);
  vi.advanceTimersByTime(1000);
  frame();
  expect(drawn).toBe(2);
});

test('what a person does is drawn with the next frame, and only once', () => {
  let drawn = 0;
  const pace = new Pace(100, () => { drawn += 1; });
  pace.request();
  frame();
  pace.request();
  pace.flush();
  pace.flush();
  frame();
  expect(drawn).toBe(2);
  vi.advanceTimersByTime(1000);
  frame();
  expect(drawn).toBe(2);
});

test('a page in the background gets no frames and asks for one only', () => {
  const pace = new Pace(100, () => undefined);
  for (let second = 0; second < 60; second += 1) {
    pace.request();
    vi.advanceTimersByTime(1000);
  }
  expect(frames).toHaveLength(1);
});
