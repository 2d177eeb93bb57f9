import { errorLine, oneLine } from '../base/errors.js';
import { formatCandidate } from '../candidate/reference.js';
import type { Http } from '../http/policy.js';
import type { Outcome } from '../rules/outcome.js';

/** The webhook's message about a decision, in one line. */
export function decisionNotice({ decision, candidate, reason }: Outcome, label: string): string {
  return `${label}: ${decision}: ${formatCandidate(candidate)}: ${reason}`;
}

export function errorNotice(error: unknown, label: string): string {
  return `${label}: error: ${errorLine(error)}`;
}

const DAY = 86_400;

/**
 * The message that nothing has been promoted for more than `after` seconds; undefined if something has, or if a person
 * decided or froze promotions. `now` is in unix seconds.
 */
export function silenceNotice(
  { decision }: Pick<Outcome, 'decision'>,
  lastPromotion: string | undefined,
  after: number,
  now: number,
): string | undefined {
  if (lastPromotion === undefined || !['wait', 'reject', 'unchanged'].includes(decision)) return undefined;
  const age = now - Date.parse(lastPromotion) / 1000;
  return age > after
    ? `nothing has been promoted for ${Math.floor(age / DAY)} days, since ${lastPromotion}`
    : undefined;
}

/**
 * Posts lines as JSON with a `text` field, which Slack and compatible services show. A notification must never fail a
 * promotion, so a failure is returned, as one line for a warning.
 */
export async function notify(http: Http, url: URL, lines: readonly string[]): Promise<string | undefined> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ text: lines.map(escaped).join('\n') });
  const request = { method: 'POST', url, headers, body } as const;
  try {
    const { status, text } = await http.sendForText(request, { idempotent: false, maxBytes: 65_536 });
    // Slack and Discord explain a refusal in the body.
    return status < 300 ? undefined : `the webhook at ${url.origin} answered ${status}: ${quote(text, url)}`;
  } catch (error) {
    return `the webhook: ${quote(errorLine(error), url)}`;
  }
}

/** Quotes a server without the webhook's path, since that path is the secret. */
function quote(text: string, { pathname }: URL): string {
  return oneLine(pathname === '/' ? text : text.replaceAll(pathname, ''), 300) || 'no explanation';
}

/** Escapes as in Slack's formatting.md, "Escaping text": text from outside must not become a link or a mention. */
function escaped(line: string): string {
  return line.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
