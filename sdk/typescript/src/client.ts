import { Base } from './base.js';
import { type CallOptions, Core, type Settings, type Attempt, userAgent } from './core.js';
import { ConfigurationError } from './errors.js';
import { Api } from './resources.js';
import { type Credentials, Session, type TokenPair } from './session.js';

/** How a client is made. */
export interface ClientOptions {
  /** Where the server is, e.g. `https://api.example.com`. */
  baseURL: string;
  /** A session's access token or an `hdy_` token. */
  token?: string | null | undefined;
  /** A session's refresh token: the session is renewed when the server says that it ended. */
  refreshToken?: string | null | undefined;
  /** Signs in when there is no token, and again when the session cannot be renewed otherwise. */
  credentials?: Credentials | undefined;
  /** Gets each new pair of tokens, to store it. */
  onTokens?: ((pair: TokenPair) => void | Promise<void>) | undefined;
  /** Speaks to this realm's host: 24 hex digits. */
  realmId?: string | undefined;
  /** Milliseconds that one try may take; 30,000 unless told otherwise, 0 for no limit. */
  timeout?: number | undefined;
  /** How often a call is sent again at most, where that is safe; 2 unless told otherwise. */
  maxRetries?: number | undefined;
  /** Sends requests instead of the platform's `fetch`. */
  fetch?: typeof fetch | undefined;
  /** Headers of every request. `Authorization`, `Host` and `Cookie` are refused. */
  headers?: Record<string, string> | undefined;
  /** Attempt before each try. */
  onRequest?: ((told: Pick<Attempt, 'method' | 'path' | 'attempt'>) => void) | undefined;
  /** Attempt after each try. */
  onResponse?: ((told: Attempt) => void) | undefined;
}

/**
 * Speaks to one hoody server with one credential. Nothing that it is asked to print shows the credential.
 *
 *     const client = new HoodyClient({ baseURL: 'https://api.example.com', token: process.env.HOODY_TOKEN });
 *     for await (const project of client.api.projects.list()) console.log(project.alias);
 */
export class HoodyClient {
  readonly #core: Core;
  readonly api: Api;

  constructor(options: ClientOptions);
  /** @internal */
  constructor(core: Core);
  constructor(given: ClientOptions | Core) {
    this.#core = given instanceof Core ? given : made(given);
    this.api = new Api(this.#core);
  }

  /** Signs in and keeps the session. Fails for an account with a second factor: see `api.tfa.verify`. */
  static async authenticate(baseURL: string, credentials: Credentials, options: Omit<ClientOptions, 'baseURL' | 'credentials'> = {}): Promise<HoodyClient> {
    const client = new HoodyClient({ ...options, baseURL, credentials });
    if (!(await client.#core.renew(undefined))) {
      throw new ConfigurationError('the account asks for a second factor: use api.authentication.login and api.tfa.verify');
    }
    return client;
  }

  /** The address that calls go to. */
  get baseURL(): string {
    return this.#core.base.href;
  }

  /** The same client on the realm's host. Both share one session. */
  withRealm(realmId: string): HoodyClient {
    return new HoodyClient(this.#core.with(this.#core.base.inRealm(realmId), this.#core.session));
  }

  /** A client of the same server with another credential. */
  withToken(token: string): HoodyClient {
    return new HoodyClient(this.#core.with(this.#core.base, new Session(token)));
  }

  /**
   * Whether the credential works here and now, and may do this: returns, or throws the refusal. It asks for the address
   * that this program calls from. `GET /api/v1/auth/check`
   */
  async check(permission?: string, options?: CallOptions): Promise<void> {
    await this.#core.call('GET /api/v1/auth/check', { query: { permission } }, options);
  }
}

function made(options: ClientOptions): Core {
  const given = Base.parse(options.baseURL);
  const settings: Settings = {
    timeout: options.timeout ?? 30_000,
    maxRetries: options.maxRetries ?? 2,
    fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    userAgent: userAgent(),
    onRequest: options.onRequest,
    onResponse: options.onResponse,
  };
  const session = new Session(options.token, options.refreshToken, options.credentials, options.onTokens);
  return new Core(options.realmId === undefined ? given : given.inRealm(options.realmId), session, options.headers ?? {}, settings);
}
