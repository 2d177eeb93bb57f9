import { isNativeError } from 'node:util/types';
import { errorLine } from './errors.js';

/** The fields of the network errors of Node and undici that say what was tried. */
interface Failure {
  readonly code?: unknown;
  /** The name that was looked up. */
  readonly hostname?: unknown;
  readonly address?: unknown;
  readonly port?: unknown;
}

/**
 * A connection that failed, in words and with Node's code, as in `the name dlrn.example does not resolve (ENOTFOUND)`.
 * Any other error gives its own line.
 */
export function networkErrorLine(error: unknown): string {
  const failure = firstOf(error);
  const words = failure && inWords(failure);
  if (failure === undefined || words === undefined) return errorLine(error);
  // undici has one code for everything that ends a connection.
  return `${words} (${failure.code === 'UND_ERR_SOCKET' ? errorLine(failure) : String(failure.code)})`;
}

/** If a name has several addresses, Node reports an error for each. */
function firstOf(error: unknown): (Error & Failure) | undefined {
  if (!isNativeError(error)) return undefined;
  return 'errors' in error && Array.isArray(error.errors) ? firstOf(error.errors[0]) : error;
}

function inWords({ code, hostname, address, port }: Failure): string | undefined {
  const name = typeof hostname === 'string' ? `the name ${hostname}` : 'the name';
  const where = typeof address === 'string' ? `${address}${port === undefined ? '' : `:${port}`}` : undefined;
  const at = where === undefined ? 'there' : `at ${where}`;
  switch (code) {
    case 'ENOTFOUND':
      return `${name} does not resolve`;
    case 'EAI_AGAIN':
      return `${name} cannot be looked up now: no name server answers`;
    case 'ECONNREFUSED':
      return `no server listens ${at}`;
    case 'ETIMEDOUT':
    case 'UND_ERR_CONNECT_TIMEOUT':
      return `nothing answers ${at}: is the address wrong, or is there a firewall?`;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `there is no route to ${where ?? 'the server'}`;
    case 'ECONNRESET':
    case 'EPIPE':
    case 'UND_ERR_SOCKET':
      return 'the server ended the connection';
    case 'HPE_INVALID_CONSTANT':
      return 'what answers there does not speak HTTP: is it the right port?';
    default:
      return undefined;
  }
}
