import { HoodyError } from './errors.js';

/** How a list goes on: `whole` has one page, `page` counts them, `full` ends with a page that is not full, `events`
 * has offsets or cursors. `items` and `pages` are paths in the answer. */
export interface Paged {
  style: 'whole' | 'page' | 'full' | 'events';
  items: string;
  pages?: string;
}

type Query = Record<string, unknown>;

/** Rows of a log are reached up to this one. */
const LAST_ROW = 10_000;

/**
 * A list. Await it for one page in its envelope, or iterate it with `for await` for all of its items, page after page.
 * Nothing is sent before that.
 */
export class ListPromise<E, T> implements PromiseLike<E>, AsyncIterable<T> {
  readonly #page: (query: Query) => Promise<E>;
  readonly #query: Query;
  readonly #paged: Paged;
  #first: Promise<E> | undefined;

  constructor(page: (query: Query) => Promise<E>, query: Query, paged: Paged) {
    this.#page = page;
    this.#query = query;
    this.#paged = paged;
  }

  // biome-ignore lint/suspicious/noThenProperty: it is a promise on purpose
  then<A = E, B = never>(done?: ((value: E) => A | PromiseLike<A>) | null, failed?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<A | B> {
    return this.#begin().then(done, failed);
  }

  catch<B = never>(failed?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<E | B> {
    return this.#begin().catch(failed);
  }

  finally(done?: (() => void) | null): Promise<E> {
    return this.#begin().finally(done);
  }

  /** All items, or the first so many. */
  async toArray(options: { limit?: number } = {}): Promise<T[]> {
    const limit = options.limit ?? Infinity;
    const all: T[] = [];
    if (limit <= 0) return all;
    for await (const item of this) {
      if (all.push(item) >= limit) break;
    }
    return all;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    let query: Query | undefined = this.#query;
    let answer = await this.#begin();
    for (;;) {
      const items = (at(answer, this.#paged.items) ?? []) as T[];
      yield* items;
      query = this.#next(answer, query, items);
      if (query === undefined) return;
      answer = await this.#page(query);
    }
  }

  #begin(): Promise<E> {
    this.#first ??= this.#page(this.#query);
    return this.#first;
  }

  /** The query of the next page; undefined at the end. */
  #next(answer: E, query: Query, items: T[]): Query | undefined {
    if (this.#paged.style === 'whole' || items.length === 0) return undefined;
    if (this.#paged.style === 'events') return nextEvents(answer, query);
    // A log that is read from a row on has no pages: the next part begins after the last row.
    if (query.before !== undefined) return { ...query, before: (items.at(-1) as { id: string }).id };
    const page = Number(query.page ?? 1);
    const limit = Number(at(answer, 'metadata.limit') ?? query.limit ?? items.length);
    const isLast = this.#paged.pages === undefined ? items.length < Number(query.limit ?? 50) : page >= Number(at(answer, this.#paged.pages));
    if (isLast) return undefined;
    if (at(answer, 'metadata') !== undefined && page * limit >= LAST_ROW) {
      throw new HoodyError(`a log can be paged only to row ${LAST_ROW.toLocaleString('en')}: narrow the dates`);
    }
    return { ...query, page: page + 1 };
  }
}

function nextEvents(answer: unknown, query: Query): Query | undefined {
  const pagination = at(answer, 'data.pagination') as { has_more?: boolean; next_cursor?: string; offset?: number; limit?: number } | undefined;
  if (!pagination?.has_more) return undefined;
  if (query.after !== undefined) return pagination.next_cursor ? { ...query, after: pagination.next_cursor } : undefined;
  return { ...query, offset: (pagination.offset ?? 0) + (pagination.limit ?? 0) };
}

function at(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((found, key) => (found as Record<string, unknown> | undefined)?.[key], value);
}
