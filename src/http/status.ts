import type { ServiceErrorKind } from '../base/errors.js';

/** The kind of error for a status that the caller did not expect (RFC 9110 section 15, RFC 6585). */
export function kindOfStatus(status: number): ServiceErrorKind {
  switch (status) {
    case 401:
      return 'unauthorized';
    case 403:
      return 'forbidden';
    case 404:
    case 410:
      return 'not-found';
    case 405:
    case 501:
      return 'unsupported';
    case 409:
      return 'conflict';
    case 413:
      return 'too-large';
    default:
      return status >= 500 || isTransient(status) ? 'server-error' : 'bad-answer';
  }
}

/** Statuses of a server that is busy or restarting: the same request may succeed later. */
export function isTransient(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
}
