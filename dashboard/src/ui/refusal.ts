/** A refusal of the server in words, for whoever did what it refused. */

import { adviceOf } from '../model/alerts';

/** What was refused and what to do next; throws what is no refusal on. */
export function refusalText(error: unknown): string {
  if (isRefusal(error)) return adviceOf(error.status, error.message);
  throw error;
}

/** A refusal of the server, as the client of REST throws it. */
function isRefusal(error: unknown): error is { readonly status: number; readonly message: string } {
  return error instanceof Error && error.name === 'RestError' && 'status' in error && typeof error.status === 'number';
}
