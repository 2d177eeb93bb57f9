import * as v from 'valibot';
import type { Clock } from '../base/clock.js';
import { ServiceError } from '../base/errors.js';
import { parseJson } from '../base/schema.js';
import type { Repository } from '../candidate/reference.js';
import type { Http, TextResponse } from '../http/policy.js';
import { readErrorFields, readSaid } from '../http/said.js';
import { kindOfStatus } from '../http/status.js';
import type { HttpRequest } from '../http/transport.js';
import type { BearerChallenge } from './challenge.js';
import { type Account, basic, isPassword, sameLogin } from './login.js';

/** A right that a token gives. */
export interface Grant {
  readonly repository: Repository;
  /** Quay creates a missing repository when a token with push is requested. */
  readonly actions: 'pull' | 'pull,push' | 'pull,push,delete';
}

/** The rights that a token must cover. */
export interface Wanted {
  /** The right that the request at hand needs. */
  readonly own: Grant;
  /** All grants that one token should cover, including `own`. */
  readonly grants: readonly Grant[];
  /** True if the token must cover nothing else: some servers issue a token for only one of several scopes. */
  readonly isAlone: boolean;
  /** Further scopes that the registry named for this request. */
  readonly scopes: readonly string[];
}

/** The bearer tokens of one registry, by the distribution project's token specification (spec/auth/token.md). */
export interface Tokens {
  /** Returns a token that covers everything wanted: a fresh one that is held, or a new one. */
  get(challenge: BearerChallenge, wanted: Wanted, account: Account): Promise<string>;
  /** Drops a token that the registry no longer accepts. */
  drop(value: string): void;
}

interface Token {
  readonly value: string;
  /** Unix milliseconds. From then on a new token is requested, before this one expires. */
  readonly renewAt: number;
  /** It covers only what the request needed. */
  readonly isAlone: boolean;
}

interface Held {
  /** The rights that were requested for the token. */
  wanted: Wanted;
  readonly login: Account['login'];
  /** Shared by all callers that ask before it arrives. */
  readonly coming: Promise<Token>;
  token?: Token;
}

const MAX_BYTES = 1024 * 1024;
const LONGEST_MARGIN_MS = 30_000;
const CLIENT_ID = 'ceph-promotion-actions';

export function createTokens(http: Http, clock: Clock): Tokens {
  let held: readonly Held[] = [];

  const isUsable = ({ login, wanted, token }: Held, now: Wanted, account: Account) =>
    sameLogin(login, account.login) && covers(wanted, now) && (token === undefined || clock.now() < token.renewAt);

  async function ask(challenge: BearerChallenge, wanted: Wanted, account: Account): Promise<Token> {
    const coming = fetchToken(http, clock, challenge, wanted, account);
    const entry: Held = { wanted, login: account.login, coming };
    held = [...held, entry];
    try {
      entry.token = await coming;
      if (entry.token.isAlone) entry.wanted = { ...wanted, grants: [wanted.own] };
      return entry.token;
    } catch (error) {
      held = held.filter((other) => other !== entry);
      throw error;
    }
  }

  return {
    async get(challenge, wanted, account) {
      const found = held.find((entry) => isUsable(entry, wanted, account));
      return (await (found?.coming ?? ask(challenge, wanted, account))).value;
    },

    drop(value) {
      held = held.filter(({ token }) => token?.value !== value);
    },
  };
}

function covers(held: Wanted, wanted: Wanted): boolean {
  // A token for several grants may cover only one of them, so a token that must stand alone is requested alone.
  if (wanted.isAlone && held.grants.length > 1) return false;
  return (
    wanted.grants.every(({ repository, actions }) =>
      held.grants.some((has) => has.repository.path === repository.path && has.actions.startsWith(actions)),
    ) && wanted.scopes.every((scope) => held.scopes.includes(scope))
  );
}

const text = v.optional(v.nullable(v.string()));
const tokenSchema = v.pipe(
  v.object({ token: text, access_token: text, expires_in: v.optional(v.unknown()) }),
  v.transform(({ token, access_token, expires_in: seconds }) => ({
    value: token || access_token || '',
    seconds: typeof seconds === 'number' ? seconds : undefined,
  })),
  v.check(({ value }) => /^[\x21-\x7e]+$/.test(value), 'no token in it'),
);

/**
 * Requests one token with a scope for each grant. A server leaves a denied scope out of the token. If a server refuses
 * several scopes at once, only what the request needs is requested.
 */
async function fetchToken(
  http: Http,
  clock: Clock,
  challenge: BearerChallenge,
  wanted: Wanted,
  account: Account,
): Promise<Token> {
  const asked = clock.now();
  const request = tokenRequest(challenge, scopesOf(wanted), account.login);
  let answer = await http.sendForText(request, { idempotent: true, maxBytes: MAX_BYTES });
  let isAlone = false;
  if (answer.status >= 400 && answer.status < 500 && answer.status !== 429 && wanted.grants.length > 1) {
    const alone = tokenRequest(challenge, scopesOf({ ...wanted, grants: [wanted.own] }), account.login);
    answer = await http.sendForText(alone, { idempotent: true, maxBytes: MAX_BYTES });
    isAlone = true;
  }
  const what = `token for ${wanted.grants.map(({ repository }) => repository.path).join(', ')}`;
  if (answer.status !== 200) throw refusal(what, request, answer, account);
  const bad = (problem: string) => {
    const why =
      answer.elsewhere === undefined ? `: ${readErrorFields({ ...answer, body: answer.text }) || problem}` : '';
    return new ServiceError('bad-answer', `${what} from ${whoAnswered(request, answer)}: not a token${why}`);
  };
  const { value, seconds } = parseJson(tokenSchema, answer.text, bad);
  const lifetime = (jwtLifetime(value, asked) ?? seconds ?? 0) * 1000;
  // If the lifetime is unknown, the token is used for as long as the registry accepts it.
  if (!(lifetime > 0)) return { value, renewAt: Number.POSITIVE_INFINITY, isAlone };
  return { value, renewAt: asked + lifetime - Math.min(LONGEST_MARGIN_MS, lifetime / 5), isAlone };
}

function scopesOf({ grants, scopes }: Wanted): readonly string[] {
  const own = grants.map(({ repository, actions }) => `repository:${repository.path}:${actions}`);
  return [...new Set([...own, ...scopes])];
}

function tokenRequest(
  { realm, service }: BearerChallenge,
  scopes: readonly string[],
  login: Account['login'],
): HttpRequest {
  const url = new URL(realm);
  if (login !== undefined && 'identityToken' in login) {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      ...(service !== undefined && { service }),
      client_id: CLIENT_ID,
      scope: scopes.join(' '),
      refresh_token: login.identityToken,
    });
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    return { method: 'POST', url, headers, body: form.toString() };
  }
  if (service !== undefined) url.searchParams.set('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  return { method: 'GET', url, headers: isPassword(login) ? { authorization: basic(login) } : {} };
}

function whoAnswered({ url }: HttpRequest, { elsewhere }: TextResponse): string {
  return elsewhere === undefined ? url.origin : `${elsewhere}, after a redirect from ${url.origin}`;
}

function refusal(what: string, request: HttpRequest, answer: TextResponse, { hint, note }: Account): ServiceError {
  const { status } = answer;
  const said = readSaid({ ...answer, body: answer.text }).text;
  const line = `${what} from ${whoAnswered(request, answer)}: answered ${status}${said && ` ${said}`}`;
  if (status !== 401 && status !== 403) return new ServiceError(kindOfStatus(status), line);
  return new ServiceError('unauthorized', `${line}${note === undefined ? '' : `; ${note}`}`, { hint });
}

const claimsSchema = v.object({ exp: v.number(), iat: v.optional(v.nullable(v.number())) });

/** A JWT's lifetime in seconds, from both its times, since the server's clock may differ from ours. */
function jwtLifetime(token: string, now: number): number | undefined {
  const [, claims = ''] = token.split('.');
  try {
    const { exp, iat } = v.parse(claimsSchema, JSON.parse(Buffer.from(claims, 'base64url').toString()));
    return exp - (iat ?? now / 1000);
  } catch {
    return undefined;
  }
}
