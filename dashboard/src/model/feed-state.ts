/** How the feed of a symbol is, by the server's words. */

/** Trading; not trading while the source is heard; the source not heard lately; the source down, or the symbol removed. */
export type FeedState = 'live' | 'quiet' | 'stale' | 'dead';
