import { request } from 'node:http';

/**
 * A `fetch` for realms of a server on this machine: `{realm}.api.localhost` has no address in Node's resolver, and Node's
 * `fetch` sends no `Host` of one's own. Names below `localhost` are dialled at 127.0.0.1; all others go to `fetch`.
 *
 *     new HoodyClient({ baseURL: 'http://127.0.0.1:8080', realmId, fetch: loopbackFetch })
 */
export const loopbackFetch: typeof fetch = (input, init) => {
  const url = new URL(input instanceof Request ? input.url : input);
  const isOurs = url.protocol === 'http:' && /(^|\.)localhost$/.test(url.hostname) && !(input instanceof Request);
  return isOurs ? dial(url, init ?? {}) : fetch(input, init);
};

function dial(url: URL, init: RequestInit): Promise<Response> {
  return new Promise((resolve, reject) => {
    const headers = { ...Object.fromEntries(new Headers(init.headers)), host: url.host };
    const options = { host: '127.0.0.1', port: url.port || '80', path: url.pathname + url.search, method: init.method ?? 'GET', headers };
    const asked = request(init.signal ? { ...options, signal: init.signal } : options, (answer) => {
      const { statusCode = 0, rawHeaders } = answer;
      const received = new Headers();
      for (let at = 0; at + 1 < rawHeaders.length; at += 2) received.append(rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '');
      const hasBody = statusCode !== 204 && statusCode !== 304;
      if (!hasBody) answer.destroy();
      resolve(new Response(hasBody ? stream(answer) : null, { status: statusCode, headers: received }));
    });
    asked.on('error', reject);
    asked.end(typeof init.body === 'string' ? init.body : undefined);
  });
}

function stream(answer: AsyncIterable<Uint8Array> & { destroy(): void }): ReadableStream<Uint8Array> {
  const parts = answer[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await parts.next();
      if (done) controller.close();
      else controller.enqueue(new Uint8Array(value));
    },
    cancel() {
      answer.destroy();
    },
  });
}
