import { errorLine, oneLine } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { formatCandidate } from '../candidate/reference.js';
import type { Http } from '../http/policy.js';
import type { Outcome } from '../rules/outcome.js';

/** What a webhook is told, in one line. */
export function decisionNotice({ decision, candidate, reason }: Outcome, label: string): string {
  return `${label}: ${decision}: ${formatCandidate(candidate)}: ${reason}`;
}

export function errorNotice(error: unknown, label: string): string {
  return `${label}: error: ${errorLine(error)}`;
}

const DAY = 86_400;

/** That nothing was promoted for `after` seconds; undefined where something was. `now` in unix seconds. */
export function silenceNotice(
  { decision }: Pick<Outcome, 'decision'>,
  lastPromotion: string | undefined,
  after: number,
  now: number,
): string | undefined {
  if (lastPromotion === undefined || !['wait', 'reject', 'unchanged'].includes(decision)) return undefined;
  const age = now - Date.parse(lastPromotion) / 1000;
  return age > after ? `nothing was promoted for ${Math.floor(age / DAY)} days, since ${lastPromotion}` : undefined;
}

/**
 * Posts lines as JSON whose `text` Slack and its like show. Telling people is never a reason to fail a promotion: what
 * goes wrong is a warning.
 */
export async function notify(http: Http, url: URL, lines: readonly string[], log: Log): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ text: lines.map(escaped).join('\n') });
  const request = { method: 'POST', url, headers, body } as const;
  try {
    const { status, text } = await http.sendForText(request, { idempotent: false, maxBytes: 65_536 });
    // Slack and Discord say in the body what they do not like.
    if (status >= 300) log.warning(`the webhook at ${url.origin} answered ${status}: ${quote(text, url)}`);
  } catch (error) {
    log.warning(`the webhook: ${quote(errorLine(error), url)}`);
  }
}

/** A server's words without the path of the webhook, which is what makes it a secret. */
function quote(text: string, { pathname }: URL): string {
  return oneLine(pathname === '/' ? text : text.replaceAll(pathname, ''), 300) || 'nothing more';
}

/** Slack's formatting.md, "Escaping text": what comes from outside must not become a link or a mention. */
function escaped(line: string): string {
  return line.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
