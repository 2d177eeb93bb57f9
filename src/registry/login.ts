import type { Hint } from '../base/errors.js';

/** Credentials for a registry. */
export type Login =
  | PasswordLogin
  /** A refresh token, which the token server exchanges for an access token (distribution's spec/auth/oauth.md). */
  | { readonly identityToken: string }
  | GivenToken;

/** An access token, sent unchanged. */
export interface GivenToken {
  readonly registryToken: string;
}

export interface PasswordLogin {
  readonly username: string;
  readonly password: string;
}

/** The identity that we use at a repository. */
export interface Account {
  /** Absent: anonymous. */
  readonly login?: Login;
  /** The way in which a person changes the login. */
  readonly hint: Hint;
  /** The reason why a stored login is not used, as a clause for errors. */
  readonly note?: string;
}

/** The Authorization header of a login by password (RFC 7617), in UTF-8. */
export function basic({ username, password }: PasswordLogin): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

export function isPassword(login: Login | undefined): login is PasswordLogin {
  return login !== undefined && 'password' in login;
}

/** True for an access token that a person gave: it cannot be renewed. */
export function isGivenToken(login: Login | undefined): login is GivenToken {
  return login !== undefined && 'registryToken' in login;
}

export function sameLogin(a: Login | undefined, b: Login | undefined): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
