import { errorLine } from '../base/errors.js';
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
  { decision, lastPromotion }: Pick<Outcome, 'decision' | 'lastPromotion'>,
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
    const { status } = await http.sendForText(request, { idempotent: false, maxBytes: 65_536 });
    if (status >= 300) log.warning(`input webhook-url: ${url.origin} answered ${status}`);
  } catch (error) {
    // The path is what makes it a secret.
    log.warning(`input webhook-url: ${errorLine(error).replaceAll(`${url.origin}${url.pathname}`, url.origin)}`);
  }
}

/** Slack's formatting.md, "Escaping text": what comes from outside must not become a link or a mention. */
function escaped(line: string): string {
  return line.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
