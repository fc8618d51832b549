import { Base } from './base.js';
import {
  APIConnectionError,
  APIError,
  APITimeoutError,
  apiError,
  ConfigurationError,
  type Route,
  UnreadableAnswerError,
} from './errors.js';
import { type Paged, ListPromise } from './list.js';
import { afterRefusal, backoff, retryAfter, sleep } from './retry.js';
import { checked, type Credentials, type Session, type TokenPair } from './session.js';
import { VERSION } from './version.js';

/** What every answer is: `data`, in its envelope. */
export interface Envelope<T> {
  statusCode: number;
  message: string;
  data: T;
}

/** What a call may say besides its data. */
export interface CallOptions {
  /** Aborts the call, also while it waits for its next try. */
  signal?: AbortSignal | undefined;
  /** Milliseconds that one try may take; 30,000 unless told otherwise. */
  timeout?: number | undefined;
  /** How often to send again at most; 2 unless told otherwise. */
  maxRetries?: number | undefined;
}

/** What hooks are told of each try. No header, query or body. */
export interface Attempt extends Route {
  /** Counts the tries of a call, from 1. */
  attempt: number;
  /** Of the answer; 0 when there was none. */
  status: number;
  /** How long the try took, in milliseconds. */
  ms: number;
  requestId: string | undefined;
}

/** The settings of a client that are no secret. */
export interface Settings {
  timeout: number;
  maxRetries: number;
  fetch: typeof fetch;
  userAgent: string | undefined;
  onRequest: ((told: Pick<Attempt, 'method' | 'path' | 'attempt'>) => void) | undefined;
  onResponse: ((told: Attempt) => void) | undefined;
}

/** What the generated classes say of a call. */
export interface Details {
  args?: string[];
  query?: object | undefined;
  body?: unknown;
  /** No credential is sent. */
  anonymous?: true;
  /** Not to be sent again where it may have been done, whatever its method. */
  once?: boolean;
  /** The answer may be as large as a vault. */
  large?: true;
  /** This credential instead of the client's. */
  token?: string;
  /** More headers, and an answer that is left open: a stream. */
  stream?: Record<string, string>;
}

/** 401s that tell of a code or password beside a good credential: another credential would not help. */
const BESIDE = ['INVALID_OTP_CODE', 'INVALID_BACKUP_CODE', 'INCORRECT_PASSWORD'];
const LARGEST = 16 * 2 ** 20;
const LARGEST_VAULT = 320 * 2 ** 20;
/** With these nothing has reached the server. */
const UNSENT = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT|ConnectionRefused)$/;

/** Sends calls. Nothing in it can be printed. */
export class Core {
  readonly #base: Base;
  readonly #session: Session;
  readonly #headers: Record<string, string>;
  readonly #settings: Settings;

  constructor(base: Base, session: Session, headers: Record<string, string>, settings: Settings) {
    for (const name of Object.keys(headers)) {
      if (/^(authorization|host|cookie)$/i.test(name)) {
        throw new ConfigurationError(`the header ${JSON.stringify(name)} cannot be set here: use token, baseURL or realmId`);
      }
    }
    this.#base = base;
    this.#session = session;
    this.#headers = { ...headers };
    this.#settings = settings;
  }

  get base(): Base {
    return this.#base;
  }

  get session(): Session {
    return this.#session;
  }

  /** The same with another address or another credential. */
  with(base: Base, session: Session): Core {
    return new Core(base, session, this.#headers, this.#settings);
  }

  /** Sends the call and reads its answer. */
  async call<T>(route: string, details: Details = {}, options: CallOptions = {}): Promise<T> {
    return (await this.#signed(split(route), details, options)) as T;
  }

  /** A list that can be awaited, for one page, or iterated, for all. */
  list<E, T>(route: string, details: Details, paged: Paged, options?: CallOptions): ListPromise<E, T> {
    const page = (query: object | undefined): Promise<E> => this.call(route, { ...details, query }, options);
    return new ListPromise<E, T>(page, { ...details.query }, paged);
  }

  /** Renews the session, if it can be, when `used` was refused. */
  renew(used: string | undefined): Promise<boolean> {
    return this.#session.renew(used, {
      refresh: async (refreshToken) => {
        const body = { refreshToken };
        const answer = await this.call<Envelope<TokenPair>>('POST /api/v1/users/auth/refresh', { body, anonymous: true });
        return answer.data;
      },
      login: async (credentials: Credentials) => {
        const details: Details = { body: credentials, anonymous: true };
        const { data } = await this.call<Envelope<Partial<TokenPair>>>('POST /api/v1/users/auth/login', details);
        return data.token && data.refreshToken ? (data as TokenPair) : undefined;
      },
    });
  }

  /** With the client's credential, renewed once if the server says that it ended. */
  async #signed(route: Route, details: Details, options: CallOptions): Promise<unknown> {
    if (details.anonymous || details.token !== undefined) return this.#send(route, details, options, checked(details.token));
    if (this.#session.needsLogin) await this.renew(undefined);
    const token = this.#session.current();
    try {
      return await this.#send(route, details, options, token);
    } catch (error) {
      const isEnded = error instanceof APIError && error.status === 401 && !BESIDE.includes(error.code);
      if (!isEnded || !(await this.renew(token))) throw error;
    }
    return this.#send(route, details, options, this.#session.current());
  }

  /** The first answer that is a success, or why there is none. */
  async #send(route: Route, details: Details, options: CallOptions, token: string | undefined): Promise<unknown> {
    const tries = 1 + Math.max(0, options.maxRetries ?? this.#settings.maxRetries);
    const isRepeatable = /^(GET|HEAD|PUT|DELETE)$/.test(route.method) && !details.once;
    for (let tried = 1; ; tried++) {
      let pause: number | undefined;
      try {
        return await this.#attempt(route, details, options, token, tried);
      } catch (error) {
        if (error instanceof APIError) pause = afterRefusal(isRepeatable, error, tried, tries - tried);
        // What took its whole time once will take it again.
        else if (error instanceof APIConnectionError && !(error instanceof APITimeoutError)) {
          pause = isRepeatable && tried < tries ? backoff(tried) : undefined;
        }
        if (pause === undefined) throw error;
      }
      await sleep(pause, options.signal);
    }
  }

  async #attempt(route: Route, details: Details, options: CallOptions, token: string | undefined, attempt: number): Promise<unknown> {
    const { onRequest, onResponse, timeout } = this.#settings;
    const deadline = new Deadline(options.signal, options.timeout ?? timeout);
    const began = Date.now();
    const told: Attempt = { ...route, attempt, status: 0, ms: 0, requestId: undefined };
    onRequest?.({ ...route, attempt });
    try {
      const response = await this.#settings.fetch(this.#url(route, details), this.#init(route, details, token, deadline.signal));
      told.status = response.status;
      told.requestId = response.headers.get('x-request-id') ?? undefined;
      if (response.ok && details.stream) return deadline.release(response);
      return await this.#read(route, details, response);
    } catch (error) {
      throw this.#failure(route, error, deadline, options.signal);
    } finally {
      deadline.stop();
      told.ms = Date.now() - began;
      onResponse?.(told);
    }
  }

  #url(route: Route, details: Details): string {
    const args = [...(details.args ?? [])];
    const path = route.path.replace(/\{\w+\}/g, () => {
      const value = String(args.shift() ?? '');
      // These three would name another route.
      if (value === '' || value === '.' || value === '..') throw new ConfigurationError(`${route.path}: an id is empty, "." or ".."`);
      return encodeURIComponent(value);
    });
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(details.query ?? {})) {
      if (value !== undefined && value !== null) query.append(name, String(value));
    }
    return this.#base.href + path + (query.size > 0 || [...query].length > 0 ? `?${query}` : '');
  }

  #init(route: Route, details: Details, token: string | undefined, signal: AbortSignal): RequestInit {
    const headers: Record<string, string> = { accept: 'application/json', ...this.#headers, ...details.stream };
    if (this.#settings.userAgent) headers['user-agent'] = this.#settings.userAgent;
    if (token !== undefined) headers.authorization = `Bearer ${token}`;
    const init: RequestInit = { method: route.method, headers, signal, redirect: 'manual' };
    if (details.body !== undefined) {
      headers['content-type'] = 'application/json';
      init.body = JSON.stringify(details.body);
    }
    return init;
  }

  async #read(route: Route, details: Details, response: Response): Promise<unknown> {
    const { status, headers } = response;
    const name = `${route.method} ${route.path}`;
    if (response.type === 'opaqueredirect' || (status >= 300 && status < 400)) {
      void response.body?.cancel();
      const where = origin(headers.get('location'), this.#base.origin);
      throw new UnreadableAnswerError(`the server redirects ${name} to ${where}: use that as baseURL if you trust it`);
    }
    const bytes = await readAll(response, details.large ? LARGEST_VAULT : LARGEST);
    if (bytes === undefined) throw new UnreadableAnswerError(`the answer to ${name} is too large`);
    if (status === 204) return undefined;
    const value = parsed(bytes);
    if (response.ok) {
      if (isObject(value)) return value;
      throw new UnreadableAnswerError(`cannot read the answer to ${name} (HTTP ${status}): ${bytes.length} bytes that are no JSON object`);
    }
    const body = isObject(value) ? value : {};
    const word = (key: string): string => (typeof body[key] === 'string' ? (body[key] as string) : '');
    // Other servers of this contract give some codes in `error` alone.
    const code = word('code') || (/^[A-Z][A-Z0-9_]*$/.test(word('error')) ? word('error') : '');
    const isDoubtful = status >= 500 && route.method !== 'GET';
    const message = word('message') || `the server answered ${status} to ${name}${isDoubtful ? '; it may have been done' : ''}`;
    const requestId = headers.get('x-request-id') ?? undefined;
    throw apiError({ ...route, status, code, message, data: body.data, requestId, retryAfter: retryAfter(headers) });
  }

  /** Why there is no answer. What `fetch` threw may hold the request, so none of it but its code is kept. */
  #failure(route: Route, error: unknown, deadline: Deadline, signal: AbortSignal | undefined): unknown {
    if (error instanceof APIError || error instanceof UnreadableAnswerError || error instanceof ConfigurationError) return error;
    if (signal?.aborted) return signal.reason;
    const name = `${route.method} ${route.path}`;
    const isChange = route.method !== 'GET';
    if (deadline.isOver) return new APITimeoutError(`no answer from ${this.#base.origin} to ${name} in time`, route, isChange);
    const { cause, code: own } = (error ?? {}) as { cause?: { code?: unknown }; code?: unknown };
    const code = [cause?.code, own].find((one) => typeof one === 'string' && /^[A-Za-z_]{1,40}$/.test(one)) as string | undefined;
    const isUnsent = code !== undefined && UNSENT.test(code);
    const what = isUnsent ? `cannot reach ${this.#base.origin}` : `the connection to ${this.#base.origin} broke before the answer to ${name} was complete`;
    return new APIConnectionError(code ? `${what} (${code})` : what, route, isChange && !isUnsent);
  }
}

/** The time that a try may take, and the caller's signal, as one signal. */
class Deadline {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #abort = (): void => this.#controller.abort(this.#outer?.reason);
  #isHeld = false;
  isOver = false;

  constructor(outer: AbortSignal | undefined, ms: number) {
    this.#outer = outer;
    if (outer?.aborted) this.#abort();
    outer?.addEventListener('abort', this.#abort, { once: true });
    if (ms > 0) {
      this.#timer = setTimeout(() => {
        this.isOver = true;
        this.#controller.abort();
      }, ms);
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The caller's signal stays in force for the rest of the answer. */
  release(response: Response): Response {
    this.#isHeld = true;
    return response;
  }

  stop(): void {
    clearTimeout(this.#timer);
    if (!this.#isHeld) this.#outer?.removeEventListener('abort', this.#abort);
  }
}

function split(route: string): Route {
  const [method = '', path = ''] = route.split(' ');
  return { method, path };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

/** The body, or undefined when it is larger than that. */
async function readAll(response: Response, largest: number): Promise<Uint8Array | undefined> {
  if (!response.body) return new Uint8Array();
  const reader = response.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > largest) {
      void reader.cancel();
      return undefined;
    }
    chunks.push(value);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** Scheme, host and port of a redirect's target: its path and query may hold what must not be shown. */
function origin(location: string | null, here: string): string {
  try {
    const found = new URL(location ?? '').origin;
    return found === here ? 'another path' : found;
  } catch {
    return 'another path';
  }
}

/** How the client calls itself; nothing in browsers, which set it themselves. */
export function userAgent(): string | undefined {
  const all = globalThis as { window?: unknown; document?: unknown; process?: { versions?: Record<string, string> }; Deno?: unknown };
  if (all.window !== undefined && all.document !== undefined) return undefined;
  const versions = all.process?.versions ?? {};
  const [name, version] = versions.bun ? ['bun', versions.bun] : all.Deno ? ['deno', versions.deno] : versions.node ? ['node', versions.node] : ['edge', ''];
  return `hoody-ts/${VERSION} (${[name, version].filter(Boolean).join(' ')})`;
}
