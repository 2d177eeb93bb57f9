import * as v from 'valibot';
import type { Clock } from '../base/clock.js';
import { ServiceError } from '../base/errors.js';
import { parseJson } from '../base/schema.js';
import type { Repository } from '../candidate/reference.js';
import type { Http } from '../http/policy.js';
import { kindOfStatus } from '../http/status.js';
import { type Account, type BearerChallenge, basic } from './challenge.js';

/** A right that a token gives. */
export interface Grant {
  readonly repository: Repository;
  /** Quay creates a repository that does not exist when a token with push is asked for. */
  readonly actions: 'pull' | 'pull,push' | 'pull,push,delete';
}

/** The bearer tokens of one registry, by the distribution project's token specification (spec/auth/token.md). */
export interface Tokens {
  /** A token that covers all grants, asked for where none that we hold does or is fresh enough. */
  get(challenge: BearerChallenge, grants: readonly Grant[], account: Account): Promise<string>;
  /** Drops a token that the registry no longer takes. */
  drop(value: string): void;
}

interface Token {
  readonly value: string;
  /** When to ask for another, in unix milliseconds: before this one dies. */
  readonly renewAt: number;
}

interface Held {
  readonly grants: readonly Grant[];
  readonly login: Account['login'];
  /** Shared by all who ask while it is on its way. */
  readonly coming: Promise<Token>;
  token?: Token;
}

const MAX_BYTES = 1024 * 1024;
/** How long a token lasts where its server does not say (token.md, `expires_in`). */
const UNSAID_LIFETIME_S = 60;
const LONGEST_MARGIN_MS = 30_000;

export function createTokens(http: Http, clock: Clock): Tokens {
  let held: readonly Held[] = [];

  const usable = ({ login, grants, token }: Held, wanted: readonly Grant[], account: Account) =>
    login?.username === account.login?.username &&
    covers(grants, wanted) &&
    (token === undefined || clock.now() < token.renewAt);

  async function ask(challenge: BearerChallenge, grants: readonly Grant[], account: Account): Promise<Token> {
    const coming = fetchToken(http, clock, challenge, grants, account);
    const entry: Held = { grants, login: account.login, coming };
    held = [...held, entry];
    try {
      entry.token = await coming;
      return entry.token;
    } catch (error) {
      held = held.filter((other) => other !== entry);
      throw error;
    }
  }

  return {
    async get(challenge, grants, account) {
      const found = held.find((entry) => usable(entry, grants, account));
      return (await (found?.coming ?? ask(challenge, grants, account))).value;
    },

    drop(value) {
      held = held.filter(({ token }) => token?.value !== value);
    },
  };
}

function covers(held: readonly Grant[], wanted: readonly Grant[]): boolean {
  return wanted.every(({ repository, actions }) =>
    held.some((has) => has.repository.path === repository.path && has.actions.startsWith(actions)),
  );
}

const tokenSchema = v.pipe(
  v.object({
    token: v.optional(v.string()),
    access_token: v.optional(v.string()),
    expires_in: v.optional(v.nullable(v.number())),
  }),
  v.transform((answer) => ({ value: answer.token ?? answer.access_token ?? '', seconds: answer.expires_in })),
  v.check(({ value }) => /^[\x21-\x7e]+$/.test(value), 'no token in it'),
);

/** One token for all grants: a `scope` each. A scope that is denied is only missing from the token, not refused. */
async function fetchToken(
  http: Http,
  clock: Clock,
  { realm, service }: BearerChallenge,
  grants: readonly Grant[],
  { inputs, login }: Account,
): Promise<Token> {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set('service', service);
  for (const { repository, actions } of grants) {
    url.searchParams.append('scope', `repository:${repository.path}:${actions}`);
  }
  const headers = login === undefined ? {} : { authorization: basic(login) };
  const asked = clock.now();
  const request = { method: 'GET', url, headers } as const;
  const { status, text } = await http.sendForText(request, { idempotent: true, maxBytes: MAX_BYTES });
  const what = `token for ${grants.map(({ repository }) => repository.path).join(', ')} from ${realm.origin}`;
  if (status === 401 || status === 403) {
    throw new ServiceError('unauthorized', `${what}: answered ${status}; check ${inputs}`);
  }
  if (status !== 200) {
    throw new ServiceError(kindOfStatus(status), `${what}: answered ${status}`);
  }
  const bad = (problem: string) => new ServiceError('bad-answer', `${what}: not a token: ${problem}`);
  const { value, seconds } = parseJson(tokenSchema, text, bad);
  const lifetime = (jwtLifetime(value, asked) ?? seconds ?? UNSAID_LIFETIME_S) * 1000;
  return { value, renewAt: asked + lifetime - Math.min(LONGEST_MARGIN_MS, lifetime / 5) };
}

const claimsSchema = v.object({ exp: v.number(), iat: v.optional(v.number()) });

/** How many seconds a JWT lasts by its own claims: by both its times, since the server's clock need not be ours. */
function jwtLifetime(token: string, now: number): number | undefined {
  const [, claims = ''] = token.split('.');
  try {
    const { exp, iat = now / 1000 } = v.parse(claimsSchema, JSON.parse(Buffer.from(claims, 'base64url').toString()));
    return exp - iat;
  } catch {
    return undefined;
  }
}
