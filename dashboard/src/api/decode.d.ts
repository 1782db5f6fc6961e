/**
 * Wire to model. Promises: never throws; what is malformed or unknown becomes `undefined` and is left out, so that one
 * odd frame, or one kind of frame newer than the page, costs nothing else.
 */
import { type Indicators } from '../model/indicators';
import type { BarMessage, Latest, Message } from '../model/message';
import type { WireBar, WireIndicators, WireLatest } from './wire';
type Fields = Readonly<Record<string, unknown>>;
/** Reads a bar with the topic it belongs to. */
export declare function decodeBar(wire: WireBar | Fields): BarMessage | undefined;
/** Reads the indicators of one bar. */
export declare function decodeIndicators(wire: WireIndicators | Fields): Indicators | undefined;
/** Reads a symbol's newest state. */
export declare function decodeLatest(wire: WireLatest | Fields): Latest | undefined;
/** Reads one frame. A server may put several frames into one message, as an array. */
export declare function decodeFrame(text: string): Message[];
export {};
