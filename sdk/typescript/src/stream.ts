import type { Core, CallOptions } from './core.js';
import { APIConnectionError, APIError, HoodyError, StreamEndedError, apiError, UnreadableAnswerError } from './errors.js';
import { backoff, sleep } from './retry.js';
import { type Message, SseParser } from './sse.js';
import type { Event } from './types.js';

/** What a stream tells. All that happens to the account when left out. */
export interface StreamQuery {
  /** Types, with commas between: `auth.token.*,project.created`. */
  event_type?: string | undefined;
  /** Things of this kind alone. */
  resource_type?: string | undefined;
  /** Only those in this realm. */
  realm_id?: string | undefined;
  /** A cursor: on from there. Without one the stream begins now. */
  after?: string | undefined;
}

/** What a stream may say besides. */
export interface StreamOptions extends Pick<CallOptions, 'signal' | 'timeout' | 'maxRetries'> {
  /** Milliseconds without a word after which the connection is made anew; 45,000 unless told otherwise. */
  silence?: number | undefined;
}

const ROUTE = { method: 'GET', path: '/api/v1/events/stream' };
const LARGEST = 16 * 2 ** 20;
/** The stream goes on after these. */
const PASSING = ['EVENTS_STREAM_LAGGED', 'UNAVAILABLE'];
/** The credential ended: a session may be renewed. */
const ENDED = ['INVALID_TOKEN', 'TOKEN_EXPIRED'];
const GONE = ['EVENTS_CURSOR_EXPIRED', 'EVENTS_HISTORY_RESET'];

/**
 * Events as they happen, for `for await`. When the connection is lost, or silent for 45 seconds, it is made anew and
 * goes on after the last event, without gap or double. It ends by an error, by `break`, or by the signal; also when the
 * first connection fails.
 */
export class EventStream implements AsyncIterable<Event> {
  readonly #core: Core;
  readonly #query: StreamQuery;
  readonly #options: StreamOptions;
  #isOpened = false;
  #tried = 0;
  #retry: number | undefined;
  #renewed: string | undefined;
  /** The place up to which everything was told. Store it, and pass it as `after` to go on from there. */
  lastEventId: string | undefined;

  constructor(core: Core, query: StreamQuery, options: StreamOptions) {
    this.#core = core;
    this.#query = query;
    this.#options = options;
    this.lastEventId = query.after;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Event, void, undefined> {
    for (;;) {
      const token = this.#core.session.current();
      try {
        for await (const message of this.#connection()) {
          this.lastEventId = message.id;
          if (message.event === 'end') {
            await this.#end(message, token);
            break;
          }
          this.#tried = 0;
          const event = parsed(message.data) as Event;
          yield event;
        }
      } catch (error) {
        // An address that never answered is a mistake, not a pause.
        if (this.#options.signal?.aborted || !this.#isOpened || !isPassing(error)) throw error;
      }
      this.#tried += 1;
      await sleep(this.#retry ?? backoff(this.#tried), this.#options.signal);
    }
  }

  /** One connection, from its opening to its loss. */
  async *#connection(): AsyncGenerator<Message, void, undefined> {
    const silent = new AbortController();
    const stop = (): void => silent.abort(this.#options.signal?.reason);
    this.#options.signal?.addEventListener('abort', stop, { once: true });
    const silence = this.#options.silence ?? 45_000;
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      const response = await this.#open(silent.signal);
      this.#isOpened = true;
      const reader = response.body?.getReader();
      const decoder = new TextDecoder();
      const parser = new SseParser(LARGEST, this.lastEventId);
      while (reader) {
        timer = setTimeout(() => silent.abort(), silence);
        const { done, value } = await reader.read();
        clearTimeout(timer);
        if (done) return;
        yield* parser.push(decoder.decode(value, { stream: true }));
        this.#retry = parser.retry;
        this.lastEventId = parser.id;
      }
    } catch (error) {
      throw this.#failure(error);
    } finally {
      clearTimeout(timer);
      this.#options.signal?.removeEventListener('abort', stop);
      silent.abort();
    }
  }

  #open(signal: AbortSignal): Promise<Response> {
    const { after, ...query } = this.#query;
    const stream: Record<string, string> = { accept: 'text/event-stream' };
    if (this.lastEventId !== undefined) stream['last-event-id'] = this.lastEventId;
    return this.#core.call<Response>('GET /api/v1/events/stream', { query, stream }, { ...this.#options, signal });
  }

  #failure(error: unknown): unknown {
    if (this.#options.signal?.aborted) return this.#options.signal.reason;
    if (error instanceof HoodyError) return error;
    if (error instanceof RangeError) return new UnreadableAnswerError('an event of the stream is too large');
    return new APIConnectionError(`the stream of ${this.#core.base.origin} broke`, ROUTE, false);
  }

  /** The server ends the stream: returns when it should be opened again, else throws why not. */
  async #end(message: Message, token: string | undefined): Promise<void> {
    const said = parsed(message.data) as { code?: string; message?: string; resume_after?: string; data?: unknown };
    const code = said.code ?? '';
    if (typeof said.resume_after === 'string') this.lastEventId = said.resume_after;
    if (PASSING.includes(code)) return;
    const text = said.message ?? 'the server ended the stream';
    if (ENDED.includes(code) && this.#renewed !== token && (await this.#core.renew(token))) {
      // A new credential that is refused at once is not renewed again.
      this.#renewed = this.#core.session.current();
      return;
    }
    if (GONE.includes(code)) {
      const { data } = said;
      throw apiError({ ...ROUTE, status: 410, code, message: text, data, requestId: undefined, retryAfter: undefined });
    }
    throw new StreamEndedError(text, code, said.resume_after);
  }
}

/** Whether opening the stream again may help. */
function isPassing(error: unknown): boolean {
  return error instanceof APIConnectionError || (error instanceof APIError && (error.status === 503 || error.status === 429));
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    throw new UnreadableAnswerError('cannot read an event of the stream: it is no JSON');
  }
}
