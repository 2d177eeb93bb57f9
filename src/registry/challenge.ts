import { ServiceError } from '../base/errors.js';

/** A user of a registry. */
export interface Login {
  readonly username: string;
  readonly password: string;
}

/** A way in to a registry, as a person gave it. */
export interface Account {
  /** What a person sets to change it, as errors say it: `inputs target-username and target-password`. */
  readonly inputs: string;
  /** Absent: anonymous. */
  readonly login?: Login;
}

/** How a registry asks who we are. */
export type Challenge = { readonly scheme: 'basic' } | BearerChallenge;

export interface BearerChallenge {
  readonly scheme: 'bearer';
  /** Where tokens come from. */
  readonly realm: URL;
  readonly service: string | undefined;
}

/**
 * The challenge of a `WWW-Authenticate` header (RFC 9110 section 11.6.1) that we can answer, bearer first; undefined
 * where there is none. `url` is what was asked: from https no password goes to a realm without it.
 */
export function parseChallenge(header: string, url: URL): Challenge | undefined {
  const bearer = /(?:^|[\s,])bearer\s+(.*)$/is.exec(header)?.[1];
  if (bearer === undefined) return /(?:^|[\s,])basic(?:[\s,]|$)/i.test(header) ? { scheme: 'basic' } : undefined;
  const text = parameter(bearer, 'realm') ?? '';
  if (!URL.canParse(text, url.href)) return undefined;
  const realm = new URL(text, url);
  if (realm.protocol !== 'https:' && realm.protocol !== url.protocol) {
    throw new ServiceError('bad-answer', `${url.origin}: sends us for a token to ${realm.origin}, without TLS`);
  }
  return { scheme: 'bearer', realm, service: parameter(bearer, 'service') };
}

/** The first parameter of that name, a token or a quoted string (RFC 9110 section 5.6). */
function parameter(challenge: string, name: string): string | undefined {
  const match = new RegExp(`(?:^|[\\s,])${name}\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,"]+))`, 'i').exec(challenge);
  return match?.[1]?.replace(/\\(.)/g, '$1') ?? match?.[2];
}

export function basic({ username, password }: Login): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
