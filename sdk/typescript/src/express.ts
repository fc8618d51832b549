import { gate, type GateOptions, type Refused } from './gate.js';

export type { GateOptions };

/** What the middleware needs of a request: Express, Connect and Node's own have it. */
export interface IncomingRequest {
  headers: Record<string, string | string[] | undefined>;
  /** The address that Express found, by its setting `trust proxy`. */
  ip?: string | undefined;
  socket?: { remoteAddress?: string | undefined } | undefined;
}

/** What it needs of a response. */
export interface OutgoingResponse {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

/**
 * Middleware for Express that lets in requests with a credential that hoody accepts, and answers 401, 403 or 503 to all
 * others. hoody judges the caller's address by `X-Forwarded-For`, which it reads when this program's address is in
 * `--trusted-proxies`; else it judges this program's own.
 *
 *     app.use('/orders', hoody({ baseURL: 'http://127.0.0.1:8080', permission: 'projects.read' }));
 */
export function hoody(options: GateOptions): (req: IncomingRequest, res: OutgoingResponse, next: (error?: unknown) => void) => void {
  const ask = gate(options);
  return (req, res, next) => {
    const { authorization } = req.headers;
    const address = req.ip ?? req.socket?.remoteAddress;
    ask(typeof authorization === 'string' ? authorization : undefined, address).then((refused) => {
      if (refused) answer(res, refused);
      else next();
    }, next);
  };
}

function answer(res: OutgoingResponse, refused: Refused): void {
  res.statusCode = refused.status;
  for (const [name, value] of Object.entries(refused.headers)) res.setHeader(name, value);
  res.end(JSON.stringify(refused.body));
}
