import { gate, type GateOptions } from './gate.js';

/** What the handler needs to know beside the question. */
export interface FetchGateOptions extends GateOptions {
  /**
   * Where a request came from, as your platform tells it. hoody reads it when this program's address is in
   * `--trusted-proxies`. Without it hoody judges this program's own address.
   */
  address?: ((request: Request) => string | undefined) | undefined;
}

/**
 * A fetch handler (Deno, Bun, workers, Hono, Next) that calls `handler` for requests with a credential that hoody accepts,
 * and answers 401, 403 or 503 to all others.
 *
 *     export default { fetch: hoody({ baseURL: 'https://api.example.com' }, (request) => new Response('hello')) };
 */
export function hoody<Rest extends unknown[]>(
  options: FetchGateOptions,
  handler: (request: Request, ...rest: Rest) => Response | Promise<Response>,
): (request: Request, ...rest: Rest) => Promise<Response> {
  const ask = gate(options);
  return async (request, ...rest) => {
    const refused = await ask(request.headers.get('authorization'), options.address?.(request));
    if (refused) return new Response(JSON.stringify(refused.body), { status: refused.status, headers: refused.headers });
    return handler(request, ...rest);
  };
}
