import { describe, expect, test } from 'vitest';
import { nextLink, Rest, RestError } from '../src/api/rest';
import { wireBar } from './support';

const json = (body: unknown, init: ResponseInit = {}): Response => new Response(JSON.stringify(body), init);

function rest(answer: (address: URL) => Response | Promise<Response>): { rest: Rest; asked: URL[] } {
  const asked: URL[] = [];
  const request = ((address: URL) => {
    asked.push(address);
    return Promise.resolve(answer(address));
  }) as typeof fetch;
  return { rest: new Rest(new URL('http://host/prefix/'), request), asked };
}

describe('cursor', () => {
  test.each([
    [null, null],
    ['', null],
    ['</api?x=1>; rel="next"', '/api?x=1'],
    ['</api?x=1>; rel=next', '/api?x=1'],
    ['</a>; rel="prev", </b?c=1,2>; rel="next"', '/b?c=1,2'],
    ['</a>; rel="nextish"', null],
  ])('%s', (header, address) => {
    expect(nextLink(header)).toBe(address);
  });

  test('a cursor is followed under the address the page knows, not the one the server believes to have', async () => {
    const link = '<http://inside:8000/api/v1/aggregated/AAPL?window=1min&cursor=abc>; rel="next"';
    const { rest: client, asked } = rest(() => json([wireBar(1)], { headers: { link } }));
    const page = await client.bars('AAPL', '1min', 10);
    await client.older(page.next ?? '');
    expect(asked[1]?.href).toBe('http://host/prefix/api/v1/aggregated/AAPL?window=1min&cursor=abc');
  });
});

test('a symbol is encoded and the forming bar asked for', async () => {
  const { rest: client, asked } = rest(() => json([wireBar(1), { odd: true }]));
  const page = await client.bars('X:BTC/USD', '1min', 10);
  expect(page.bars).toHaveLength(1);
  expect(page.next).toBeNull();
  expect(asked[0]?.pathname).toBe('/prefix/api/v1/aggregated/X%3ABTC%2FUSD');
  expect(asked[0]?.searchParams.get('include_forming')).toBe('true');
});

test('one indicator object is a series of one', async () => {
  const { rest: client } = rest(() => json({ symbol: 'A', window: '1min', timestamp: '2026-11-23T13:00:00Z', sma_20: 1 }));
  const list = await client.indicators('A', '1min', 0 as never, 1 as never, 5);
  expect(list[0]?.values.sma_20).toBe(1);
});

describe('errors', () => {
  test('a problem keeps its code', async () => {
    const { rest: client } = rest(() => json({ code: 'unknown_symbol', detail: 'no `XX`' }, { status: 404 }));
    const error: unknown = await client.bars('XX', '1min', 1).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(RestError);
    expect(error).toMatchObject({ status: 404, code: 'unknown_symbol', transient: false, message: 'no `XX`' });
  });

  test.each([
    ['a broken line', (): Response => { throw new TypeError('refused'); }, 0],
    ['a page that is no JSON', (): Response => new Response('<html>', { status: 502 }), 502],
  ])('%s may be tried again', async (_, answer, status) => {
    const { rest: client } = rest(answer);
    await expect(client.symbols()).rejects.toMatchObject({ status, transient: true });
  });
});
