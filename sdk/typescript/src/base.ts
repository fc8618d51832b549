import { ConfigurationError } from './errors.js';

const REALM = /^[0-9a-f]{24}$/;

/** Where the server is: `http` or `https`, a host, and a path before `/api/v1` if it has one. */
export class Base {
  readonly #url: URL;

  private constructor(url: URL) {
    this.#url = url;
  }

  /** Reads a base address. `/api/v1` at its end is taken off: every route begins with it. */
  static parse(text: string): Base {
    const refuse = (why: string): never => {
      throw new ConfigurationError(`baseURL ${JSON.stringify(shown(text))} cannot be used: ${why}`);
    };
    let url: URL;
    try {
      url = new URL(text);
    } catch {
      return refuse('it is not an address such as https://api.example.com');
    }
    if (url.protocol !== 'http:' && url.protocol !== 'https:') return refuse('it must start with http:// or https://');
    if (url.username || url.password || url.search || url.hash) {
      return refuse('it must have no user, no password, no query and no fragment');
    }
    url.pathname = url.pathname.replace(/\/+$/, '').replace(/\/api\/v1$/, '');
    return new Base(url);
  }

  /** The same server on the realm's host: `{realm}.` before the name, or `{realm}.api.localhost` for loopback. */
  inRealm(realm: string): Base {
    if (!REALM.test(realm)) throw new ConfigurationError('realmId must be 24 lowercase hex digits');
    const host = this.#url.hostname;
    const isAddress = /^[\d.]+$/.test(host) || host.startsWith('[');
    if (isAddress && !/^127\.|^\[::1\]$/.test(host)) {
      throw new ConfigurationError(`a realm needs a host name: ${host} is a bare address`);
    }
    const url = new URL(this.#url);
    url.hostname = isAddress || host === 'localhost' ? `${realm}.api.localhost` : `${realm}.${withoutRealm(host)}`;
    return new Base(url);
  }

  /** Scheme, host and port. */
  get origin(): string {
    return this.#url.origin;
  }

  /** The whole address, without a slash at its end. */
  get href(): string {
    return this.#url.href.replace(/\/$/, '');
  }
}

function withoutRealm(host: string): string {
  const [label = '', ...rest] = host.split('.');
  return rest.length > 0 && REALM.test(label) ? rest.join('.') : host;
}

/** The address as it may be shown: without user, password, query and fragment. */
function shown(text: string): string {
  const [address = ''] = String(text).split(/[?#]/);
  const at = address.lastIndexOf('@');
  const scheme = address.indexOf('://');
  return at < 0 ? address : (scheme >= 0 && scheme < at ? address.slice(0, scheme + 3) : '') + address.slice(at + 1);
}
