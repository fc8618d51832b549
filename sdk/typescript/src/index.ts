export { HoodyClient, type ClientOptions } from './client.js';
export type { CallOptions, Envelope, Attempt } from './core.js';
export * from './errors.js';
export { ListPromise } from './list.js';
export { Api } from './resources.js';
export type { Credentials, TokenPair } from './session.js';
export { EventStream, type StreamOptions, type StreamQuery } from './stream.js';
export type * from './types.js';
export { VERSION } from './version.js';
