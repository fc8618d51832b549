import { ConfigurationError, isHoodyError, APIError } from './errors.js';

/** A session's two tokens. */
export interface TokenPair {
  token: string;
  refreshToken: string;
}

/** What signs in: a name or an address, and the password. */
export type Credentials = { password: string } & (
  | { username: string; email?: undefined }
  | { email: string; username?: undefined }
);

/** How a session is made anew: by the refresh token, or by signing in. Undefined when an account asks for a second factor. */
export interface Renewer {
  refresh(refreshToken: string): Promise<TokenPair>;
  login(credentials: Credentials): Promise<TokenPair | undefined>;
}

/**
 * The credential of a client and of all clients made from it. All its fields are private: nothing prints them.
 */
export class Session {
  #token: string | undefined;
  #refreshToken: string | undefined;
  readonly #credentials: Credentials | undefined;
  readonly #onTokens: ((pair: TokenPair) => void | Promise<void>) | undefined;
  #renewing: Promise<boolean> | undefined;

  constructor(
    token?: string | null,
    refreshToken?: string | null,
    credentials?: Credentials,
    onTokens?: (pair: TokenPair) => void | Promise<void>,
  ) {
    this.#token = checked(token);
    this.#refreshToken = checked(refreshToken);
    this.#credentials = credentials;
    this.#onTokens = onTokens;
  }

  /** The token in use. A method, because tools that print objects may call getters. */
  current(): string | undefined {
    return this.#token;
  }

  /** Whether a call needs a sign-in before it. */
  get needsLogin(): boolean {
    return this.#token === undefined && (this.#refreshToken ?? this.#credentials) !== undefined;
  }

  /**
   * Renews the session, once for all callers that ask at the same time. False when there is nothing to renew it with.
   * `used` is the token that was refused: if another took its place meanwhile, that one is good.
   */
  renew(used: string | undefined, by: Renewer): Promise<boolean> {
    if (this.#token !== used) return Promise.resolve(true);
    if (used?.startsWith('hdy_')) return Promise.resolve(false);
    this.#renewing ??= this.#renew(by).finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #renew(by: Renewer): Promise<boolean> {
    const pair = (await this.#refresh(by)) ?? (this.#credentials && (await by.login(this.#credentials)));
    if (!pair) return false;
    this.#token = checked(pair.token);
    this.#refreshToken = checked(pair.refreshToken);
    await this.#onTokens?.({ token: pair.token, refreshToken: pair.refreshToken });
    return true;
  }

  async #refresh(by: Renewer): Promise<TokenPair | undefined> {
    if (this.#refreshToken === undefined) return undefined;
    try {
      return await by.refresh(this.#refreshToken);
    } catch (error) {
      if (!isHoodyError(error) || (error as APIError).status !== 401) throw error;
      // The session ended. Asking again would not help.
      this.#refreshToken = undefined;
      return undefined;
    }
  }
}

/** A credential that a header can carry as it is. */
export function checked(token: string | null | undefined): string | undefined {
  if (token === undefined || token === null) return undefined;
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new ConfigurationError('the credential cannot be sent: it is empty, or contains spaces or control characters');
  }
  return token;
}
