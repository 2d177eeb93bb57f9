import { ServiceError } from '../base/errors.js';

/** A registry's request that the client identify itself. */
export type Challenge = { readonly scheme: 'basic' } | BearerChallenge | UnknownChallenge;

export interface BearerChallenge {
  readonly scheme: 'bearer';
  /** The address of the token server. */
  readonly realm: URL;
  readonly service: string | undefined;
  /** The scopes that the request needs, such as `repository:ceph/daemon:pull`. */
  readonly scopes: readonly string[];
}

/** A scheme that this client does not support, such as Negotiate. */
export interface UnknownChallenge {
  readonly scheme: 'unknown';
  /** As the server wrote it. */
  readonly name: string;
}

const MAX_HEADER = 8192;

/**
 * Parses a `WWW-Authenticate` header (RFC 9110 section 11.6.1). A bearer challenge is preferred to others. Undefined if
 * there is no challenge. `url` is the requested address: if it is https, no login goes to a realm without TLS.
 */
export function parseChallenge(header: string, url: URL): Challenge | undefined {
  const text = header.slice(0, MAX_HEADER);
  const bearer = /(?:^|[\s,])bearer\s+(.*)$/is.exec(text)?.[1];
  if (bearer === undefined) {
    if (/(?:^|[\s,])basic(?:[\s,]|$)/i.test(text)) return { scheme: 'basic' };
    const name = /^[\w-]{1,40}/.exec(text.trim())?.[0];
    return name === undefined ? undefined : { scheme: 'unknown', name };
  }
  const target = parameter(bearer, 'realm') ?? '';
  if (target === '' || !URL.canParse(target, url.href)) return { scheme: 'unknown', name: 'Bearer without a realm' };
  const realm = new URL(target, url);
  if (realm.protocol !== 'https:' && realm.protocol !== url.protocol) {
    throw new ServiceError('bad-answer', `${url.origin}: its token server is ${realm.origin}, without TLS`);
  }
  const scopes = (parameter(bearer, 'scope') ?? '').split(' ').filter((scope) => SCOPE.test(scope));
  return { scheme: 'bearer', realm, service: parameter(bearer, 'service'), scopes };
}

/** `type:name:actions` (distribution's spec/auth/scope.md). */
const SCOPE = /^[a-z][\w()-]{0,60}:[\w./:-]{1,300}:[a-z*,]{1,60}$/;

/** The first parameter of that name, as a token or a quoted string (RFC 9110 section 5.6). */
function parameter(challenge: string, name: string): string | undefined {
  const match = new RegExp(`(?:^|[\\s,])${name}\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,"]+))`, 'i').exec(challenge);
  return match?.[1]?.replace(/\\(.)/g, '$1') ?? match?.[2]?.replace(/^'(.*)'$/, '$1');
}

/** True if a registry's login may be sent to this token server: it is on the registry's site, or the user lists it. */
export function isTrustedRealm(realm: URL, registry: URL, listed: readonly string[]): boolean {
  return siteOf(realm.hostname) === siteOf(registry.hostname) || listed.some((host) => isHost(host, realm));
}

/** The last two labels of a name; addresses and single labels are their own site. */
function siteOf(hostname: string): string {
  const isAddress = /^[\d.]+$/.test(hostname) || hostname.startsWith('[');
  return isAddress ? hostname : hostname.split('.').slice(-2).join('.');
}

function isHost(listed: string, { host, hostname }: URL): boolean {
  const name = listed.toLowerCase();
  return name === host || name === hostname;
}
