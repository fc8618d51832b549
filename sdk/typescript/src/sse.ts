/** A message of a stream of Server-Sent Events. */
export interface Message {
  event: string;
  data: string;
  /** The last id that the stream named. */
  id: string | undefined;
}

/**
 * Reads a stream of Server-Sent Events (HTML Living Standard, 9.2.6) as it comes. Lines end in CR, LF or CRLF; comments
 * are passed over; an id with NUL does not count.
 */
export class SseParser {
  readonly #largest: number;
  #buffer = '';
  #isBegun = false;
  #event = '';
  #data: string[] = [];
  #size = 0;
  #id: string | undefined;
  /** The last id of a message that is complete. */
  id: string | undefined;
  /** Milliseconds that the server asks to wait before a new connection. */
  retry: number | undefined;

  /** `largest` is the number of characters that one message may have. */
  constructor(largest: number, id?: string) {
    this.#largest = largest;
    this.id = this.#id = id;
  }

  /** The messages that this piece of text completes. Throws RangeError when one is too large. */
  *push(text: string): Generator<Message, void, undefined> {
    if (!this.#isBegun && text !== '') {
      this.#isBegun = true;
      if (text.startsWith('\ufeff')) text = text.slice(1);
    }
    this.#buffer += text;
    for (;;) {
      const end = this.#buffer.search(/[\r\n]/);
      // A CR at the end may be half of a CRLF.
      if (end < 0 || (end === this.#buffer.length - 1 && this.#buffer[end] === '\r')) break;
      const line = this.#buffer.slice(0, end);
      this.#buffer = this.#buffer.slice(this.#buffer.startsWith('\r\n', end) ? end + 2 : end + 1);
      const message = line === '' ? this.#dispatch() : this.#field(line);
      if (message) yield message;
    }
    if (this.#size + this.#buffer.length > this.#largest) throw new RangeError('too large');
  }

  #field(line: string): undefined {
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'event') this.#event = value;
    else if (name === 'id' && !value.includes('\0')) this.#id = value;
    else if (name === 'retry' && /^\d+$/.test(value)) this.retry = Number(value);
    else if (name === 'data') {
      this.#data.push(value);
      this.#size += value.length;
      if (this.#size > this.#largest) throw new RangeError('too large');
    }
  }

  #dispatch(): Message | undefined {
    this.id = this.#id;
    const message = { event: this.#event || 'message', data: this.#data.join('\n'), id: this.id };
    const isEmpty = this.#data.length === 0;
    this.#event = '';
    this.#data = [];
    this.#size = 0;
    return isEmpty ? undefined : message;
  }
}
