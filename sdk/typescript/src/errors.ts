import { mask, maskAll } from './secrets.js';
import type { ErrorCode } from './types.js';

const BRAND: unique symbol = Symbol.for('hoody.error') as never;

/** The code of a change that may have been made, or not. */
export const OUTCOME_UNKNOWN = 'OUTCOME_UNKNOWN';

/** Which call failed: the path is the route's template, without ids, query and body. */
export interface Route {
  method: string;
  path: string;
}

/**
 * Every error of this package. None holds a secret: no header, no query, no body, and credentials in the server's
 * words are masked.
 */
export class HoodyError extends Error {
  override readonly name: string = 'HoodyError';
  /**
   * Whether a change may have been made although the call failed. Read what it concerns before you repeat it.
   */
  readonly isOutcomeUnknown: boolean = false;

  constructor(message: string) {
    super(mask(message));
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** Whether this is an error of this package, also of a second copy of it. */
export function isHoodyError(error: unknown): error is HoodyError {
  return typeof error === 'object' && error !== null && BRAND in error;
}

/** The client cannot be made, or the call cannot be sent: nothing was sent. */
export class ConfigurationError extends HoodyError {
  override readonly name: string = 'ConfigurationError';
}

/** No answer: the server cannot be reached, or the connection broke. */
export class APIConnectionError extends HoodyError {
  override readonly name: string = 'APIConnectionError';
  readonly method: string;
  readonly path: string;
  override readonly isOutcomeUnknown: boolean;

  constructor(message: string, route: Route, isOutcomeUnknown: boolean) {
    super(message);
    this.method = route.method;
    this.path = route.path;
    this.isOutcomeUnknown = isOutcomeUnknown;
  }
}

/** No answer within `timeout`. */
export class APITimeoutError extends APIConnectionError {
  override readonly name: string = 'APITimeoutError';
}

/** The answer cannot be read, is too large, or is a redirect, which is never followed. */
export class UnreadableAnswerError extends HoodyError {
  override readonly name: string = 'UnreadableAnswerError';
}

/** The server ended a stream for a reason that opening it again does not change. `code` names the reason. */
export class StreamEndedError extends HoodyError {
  override readonly name: string = 'StreamEndedError';
  readonly code: ErrorCode;
  /** A cursor to go on from, if the server gave one. */
  readonly resumeAfter: string | undefined;

  constructor(message: string, code: string, resumeAfter: string | undefined) {
    super(message);
    this.code = code;
    this.resumeAfter = resumeAfter;
  }
}

/** What is wrong in a body, as a JSON pointer and a sentence. */
export interface Violation {
  instancePath: string;
  message: string;
}

/** What the server refused with. */
export interface Refusal extends Route {
  status: number;
  code: string;
  message: string;
  data: unknown;
  requestId: string | undefined;
  retryAfter: number | undefined;
}

/** The server refused. Branch on `code`; see docs/errors.md. */
export class APIError extends HoodyError {
  override readonly name: string = 'APIError';
  /** The HTTP status. */
  readonly status: number;
  /** The machine code; empty when something before the server answered. */
  readonly code: ErrorCode;
  /** More about it; a list of violations for a 422. */
  readonly data: unknown;
  /** Names the request in the server's log. */
  readonly requestId: string | undefined;
  /** How many seconds the server asks to wait. */
  readonly retryAfter: number | undefined;
  readonly method: string;
  readonly path: string;
  override readonly isOutcomeUnknown: boolean;

  constructor(refusal: Refusal) {
    super(refusal.message);
    this.status = refusal.status;
    this.code = refusal.code;
    this.data = maskAll(refusal.data);
    this.requestId = refusal.requestId;
    this.retryAfter = refusal.retryAfter;
    this.method = refusal.method;
    this.path = refusal.path;
    this.isOutcomeUnknown = refusal.code === OUTCOME_UNKNOWN;
  }

  /** What is wrong in the body, of a 422. */
  get violations(): Violation[] {
    return this.status === 422 && Array.isArray(this.data) ? (this.data as Violation[]) : [];
  }
}

export class BadRequestError extends APIError {
  override readonly name: string = 'BadRequestError';
}
export class AuthenticationError extends APIError {
  override readonly name: string = 'AuthenticationError';
}
export class PermissionDeniedError extends APIError {
  override readonly name: string = 'PermissionDeniedError';
}
export class NotFoundError extends APIError {
  override readonly name: string = 'NotFoundError';
}
export class ConflictError extends APIError {
  override readonly name: string = 'ConflictError';
}
export class GoneError extends APIError {
  override readonly name: string = 'GoneError';
}
export class TooLargeError extends APIError {
  override readonly name: string = 'TooLargeError';
}
export class UnprocessableEntityError extends APIError {
  override readonly name: string = 'UnprocessableEntityError';
}
export class RateLimitError extends APIError {
  override readonly name: string = 'RateLimitError';
}
export class ServerError extends APIError {
  override readonly name: string = 'ServerError';
}

const CLASSES: Record<number, typeof APIError> = {
  400: BadRequestError,
  401: AuthenticationError,
  403: PermissionDeniedError,
  404: NotFoundError,
  409: ConflictError,
  410: GoneError,
  413: TooLargeError,
  422: UnprocessableEntityError,
  429: RateLimitError,
};

/** The error of the class that its status has. */
export function apiError(refusal: Refusal): APIError {
  const { status } = refusal;
  return new (CLASSES[status] ?? (status >= 500 ? ServerError : APIError))(refusal);
}
