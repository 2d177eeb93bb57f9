import { oneLine, ServiceError } from '../base/errors.js';

/** Bounds on what a listing may make us hold. */
export const MAX_TAGS = 1_000_000;
export const MAX_TAG_LENGTH = 1024;

/** Where an answer says that it goes on: `Link: <url>; rel="next"` (RFC 8288); undefined on the last page. */
export function nextPage(headers: Readonly<Record<string, string>>, page: URL, what: string): URL | undefined {
  const target = /<([^>]*)>\s*;[^<]*\brel\s*=\s*(?:"next"|next\b)/i.exec(headers.link ?? '')?.[1];
  if (target === undefined) return undefined;
  const url = URL.canParse(target, page.href) ? new URL(target, page) : undefined;
  if (url?.origin === page.origin) return url;
  throw new ServiceError('bad-answer', `${what}: its next page is on another server: ${oneLine(target, 200)}`);
}
