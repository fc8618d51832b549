// What both middlewares stand on: a request is checked at hoody, and let in on a 204 alone.

import { Base } from './base.js';
import { retryAfter } from './retry.js';

/** What a middleware asks hoody. */
export interface GateOptions {
  /** Where hoody is, e.g. `http://127.0.0.1:8080`. */
  baseURL: string;
  /** The permission that a credential needs, e.g. `projects.read`. Without one any good credential is let in. */
  permission?: string | undefined;
  /** Asks on this realm's host: 24 hex digits. */
  realmId?: string | undefined;
  /** Milliseconds that hoody may take; 5,000 unless told otherwise. */
  timeout?: number | undefined;
  /** Sends the question instead of the platform's `fetch`. */
  fetch?: typeof fetch | undefined;
}

/** Why a request is not let in: an answer for it. */
export interface Refused {
  status: number;
  headers: Record<string, string>;
  body: { statusCode: number; error: string; code: string; message: string; data: null };
}

/** Undefined lets the request in. `address` is where it came from, if that is known. */
export type Gate = (authorization: string | null | undefined, address: string | undefined) => Promise<Refused | undefined>;

/** A gate with these settings. Throws ConfigurationError when they are wrong. */
export function gate(options: GateOptions): Gate {
  const given = Base.parse(options.baseURL);
  const base = options.realmId === undefined ? given : given.inRealm(options.realmId);
  const query = options.permission === undefined ? '' : `?permission=${encodeURIComponent(options.permission)}`;
  const url = `${base.href}/api/v1/auth/check${query}`;
  const send = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  return async (authorization, address) => {
    if (!authorization) return refused(401, 'Unauthorized', 'MISSING_TOKEN', 'Authentication token required');
    // Two headers that were joined: which of them would count?
    if (!/^bearer [\x21-\x2b\x2d-\x7e]+$/i.test(authorization)) {
      return refused(401, 'Unauthorized', 'INVALID_TOKEN', 'Invalid authentication token');
    }
    const headers: Record<string, string> = { authorization, accept: 'application/json' };
    if (address) headers['x-forwarded-for'] = address;
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), options.timeout ?? 5000);
    try {
      const response = await send(url, { headers, redirect: 'manual', signal: stop.signal });
      if (response.status === 204) return undefined;
      return await judged(response);
    } catch {
      return unavailable();
    } finally {
      clearTimeout(timer);
    }
  };
}

async function judged(response: Response): Promise<Refused> {
  if (response.status !== 401 && response.status !== 403) {
    void response.body?.cancel();
    return unavailable(retryAfter(response.headers));
  }
  const said = (await response.json().catch(() => ({}))) as { error?: unknown; code?: unknown; message?: unknown };
  const word = (value: unknown, other: string): string => (typeof value === 'string' && value ? value : other);
  const is401 = response.status === 401;
  return refused(
    response.status,
    word(said.error, is401 ? 'Unauthorized' : 'Forbidden'),
    word(said.code, is401 ? 'INVALID_TOKEN' : 'INSUFFICIENT_PERMISSIONS'),
    word(said.message, is401 ? 'Invalid authentication token' : 'Insufficient permissions'),
  );
}

/** Whatever else happens, nobody is let in. */
function unavailable(seconds = 1): Refused {
  const answer = refused(503, 'Service Unavailable', 'UNAVAILABLE', 'The request could not be checked. Try again.');
  answer.headers['retry-after'] = String(Math.ceil(seconds));
  return answer;
}

function refused(status: number, error: string, code: string, message: string): Refused {
  const headers: Record<string, string> = { 'content-type': 'application/json', 'cache-control': 'no-store' };
  if (status === 401) headers['www-authenticate'] = 'Bearer';
  return { status, headers, body: { statusCode: status, error, code, message, data: null } };
}
