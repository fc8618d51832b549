// When to send again, and after how long. The rules are those of crates/client/src/retry.rs; sdk/conformance.json
// holds all clients to them.

import { OUTCOME_UNKNOWN, type APIError } from './errors.js';

/** The longest pause between two tries, in milliseconds. */
const LONGEST = 30_000;
const FIRST = 200;

/**
 * Milliseconds until the next try after this refusal, or undefined: give it to the caller. `isRepeatable` when a second
 * time does what the first did; `left` counts the tries that remain.
 */
export function afterRefusal(isRepeatable: boolean, refusal: APIError, tried: number, left: number): number | undefined {
  const { status, code, retryAfter } = refusal;
  if (left <= 0 || code === OUTCOME_UNKNOWN || (status !== 429 && status !== 503)) return undefined;
  if (retryAfter === undefined) return isRepeatable ? backoff(tried) : undefined;
  // A wait that the remaining pauses cannot cover is not begun.
  return retryAfter * 1000 > LONGEST * left ? undefined : Math.min(retryAfter * 1000, LONGEST);
}

/** Twice as long each time, with up to half as much again, so that clients do not march in step. */
export function backoff(tried: number): number {
  return Math.min(FIRST * 2 ** (tried - 1), LONGEST / 1.5) * (1 + Math.random() / 2);
}

/** Seconds to wait. A date is measured against the answer's own `Date`, so that the two clocks need not agree. */
export function retryAfter(headers: Headers): number | undefined {
  const text = headers.get('retry-after')?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text);
  const until = httpDate(text);
  const now = httpDate(headers.get('date') ?? '');
  return until === undefined || now === undefined ? undefined : Math.max(0, (until - now) / 1000);
}

function httpDate(text: string): number | undefined {
  const time = /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(time) ? undefined : time;
}

/** Waits, unless the signal aborts first: then its reason is thrown. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
}
