/**
 * The REST client: history, the list of symbols, the newest prices. Errors carry the server's stable `code`; whoever
 * asks decides whether to try again. Addresses are relative to the page, so a proxy may serve it under any prefix.
 */
import type { EpochSeconds } from '../helpers/nominal';
import type { Bar } from '../model/bar';
import type { Indicators } from '../model/indicators';
import type { Latest } from '../model/message';
import type { WireSymbols } from './wire';
/** A page of history, newest first as the server gives it. */
export interface Page {
    readonly bars: readonly Bar[];
    /** Address of the page before it in time; `null` at the beginning of history. */
    readonly next: string | null;
}
/** The server's refusal, or no answer at all (`status` 0). */
export declare class RestError extends Error {
    readonly status: number;
    readonly code: string;
    readonly name = "RestError";
    constructor(status: number, code: string, detail: string);
    /** True when the same request may succeed later. */
    get transient(): boolean;
}
/** Address of `rel="next"` in a `Link` header. */
export declare function nextLink(header: string | null): string | null;
export declare class Rest {
    #private;
    private readonly base;
    private readonly request;
    /**
     * @param base address of the page
     * @param request the browser's `fetch`, or a test's
     */
    constructor(base: URL, request: typeof fetch);
    symbols(signal?: AbortSignal): Promise<WireSymbols>;
    latest(symbols: readonly string[], signal?: AbortSignal): Promise<Latest[]>;
    /** The newest page of bars, with the forming one. */
    bars(symbol: string, window: string, limit: number, signal?: AbortSignal): Promise<Page>;
    /** The page before another in time. */
    older(next: string, signal?: AbortSignal): Promise<Page>;
    /** The series of indicators of at most `limit` bars with `from` < end ≤ `to`. */
    indicators(symbol: string, window: string, from: EpochSeconds, to: EpochSeconds, limit: number, signal?: AbortSignal): Promise<Indicators[]>;
}
