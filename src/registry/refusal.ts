import { ServiceError, type ServiceErrorKind } from '../base/errors.js';
import type { AnswerHead } from '../http/policy.js';
import { readSaid, type Said } from '../http/said.js';
import { kindOfStatus } from '../http/status.js';
import { parseChallenge } from './challenge.js';
import type { Account } from './login.js';

/** An unexpected answer, with its body. */
export interface Refused extends AnswerHead {
  readonly body: Buffer;
}

/**
 * The error for an unexpected answer. `what` names the request, as in `quay.io/ceph/daemon: GET tags/list`. A hint at
 * the login is given only if a login could help.
 */
export function refusal(what: string, url: URL, answer: Refused, account: Account): ServiceError {
  const said = readSaid(answer);
  const { status, elsewhere } = answer;
  const who = elsewhere === undefined ? 'the registry' : `${elsewhere}, after a redirect,`;
  const line = `${what}: ${who} answered ${status}${said.text && ` ${said.text}`}${explain(answer, url, account)}`;
  const isLogin = elsewhere === undefined && (status === 401 || (status === 403 && isAboutRights(said)));
  return new ServiceError(kindOf(status, said), line, isLogin ? { hint: account.hint } : {});
}

function kindOf(status: number, { codes }: Said): ServiceErrorKind {
  if (codes.includes('TAG_IMMUTABLE')) return 'conflict';
  return codes.includes('UNSUPPORTED') ? 'unsupported' : kindOfStatus(status);
}

function explain({ status, headers, elsewhere }: Refused, url: URL, { login, note }: Account): string {
  if (status === 413) return '; the registry, or a proxy in front of it, limits the size of a request body';
  if (elsewhere !== undefined || (status !== 401 && status !== 403)) return '';
  const noted = note === undefined ? '' : `; ${note}`;
  if (status === 403) return noted;
  const challenge = parseChallenge(headers['www-authenticate'] ?? '', url);
  if (challenge === undefined) return `, without saying how to log in (no WWW-Authenticate)${noted}`;
  if (challenge.scheme === 'unknown') return `, and asks for ${challenge.name}, which is not supported${noted}`;
  if (challenge.scheme === 'basic' && login !== undefined && !('password' in login)) {
    return ', and accepts only a username and password, but the stored login is a token';
  }
  return `; the repository may also be private, or not exist${noted}`;
}

/** Registries, and the networks in front of them, answer 403 to many requests that no login would fix. */
function isAboutRights({ text, codes }: Said): boolean {
  return (
    codes.some((code) => ['DENIED', 'UNAUTHORIZED', 'FORBIDDEN'].includes(code)) &&
    !/quota|limit|exceed|storage|size|space|immutable|polic|vulnerab|scan|sign|locked|read.?only|maintenance/i.test(
      text,
    )
  );
}
