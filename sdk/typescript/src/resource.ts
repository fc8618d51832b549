import type { Core } from './core.js';
import { EventStream, type StreamOptions, type StreamQuery } from './stream.js';

/** What the generated classes stand on. */
export class Resource {
  protected readonly core: Core;

  constructor(core: Core) {
    this.core = core;
  }
}

/** What `client.api.events` has beside the routes that are plain calls. */
export class EventsBase extends Resource {
  /** Events as they happen, with `for await`. `GET /api/v1/events/stream` */
  stream(query: StreamQuery = {}, options: StreamOptions = {}): EventStream {
    return new EventStream(this.core, query, options);
  }
}
