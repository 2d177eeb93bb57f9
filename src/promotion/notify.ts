import { errorLine } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { formatCandidate } from '../candidate/reference.js';
import type { Http } from '../http/policy.js';
import type { Outcome } from './decide.js';

/** What a webhook is sent: `text` is what Slack and its like show. */
export interface Notice {
  readonly text: string;
}

export function decisionNotice(
  { decision, candidate, reason }: Outcome,
  label: string,
  runUrl: string | undefined,
): Notice {
  return { text: withRun(`${label}: ${decision}: ${formatCandidate(candidate)}: ${reason}`, runUrl) };
}

export function errorNotice(error: unknown, label: string, runUrl: string | undefined): Notice {
  return { text: withRun(`${label}: error: ${errorLine(error)}`, runUrl) };
}

function withRun(text: string, runUrl: string | undefined): string {
  return runUrl === undefined ? text : `${text} (${runUrl})`;
}

/** Posts a notice as JSON. Telling people is never a reason to fail a promotion: what goes wrong is a warning. */
export async function notify(http: Http, url: URL, notice: Notice, log: Log): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const request = { method: 'POST', url, headers, body: JSON.stringify(notice) } as const;
  try {
    const { status } = await http.sendForText(request, { idempotent: false, maxBytes: 65_536 });
    if (status >= 300) log.warning(`input webhook-url: ${url.origin} answered ${status}`);
  } catch (error) {
    log.warning(`input webhook-url: ${errorLine(error)}`);
  }
}
