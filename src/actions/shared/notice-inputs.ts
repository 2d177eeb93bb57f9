import { systemClock, unixSeconds } from '../../base/clock.js';
import { durationSchema } from '../../base/schema.js';
import type { Http } from '../../http/policy.js';
import { notify, silenceNotice } from '../../promotion/notify.js';
import type { Promoted } from '../../promotion/promote.js';
import type { Runner } from '../../runner/action.js';
import { optional, type ParsedInputs, urlSchema } from '../../runner/inputs.js';
import { wordHint } from './hints.js';

/** The inputs that say where notices of decisions and errors are sent, and when one is due. */
export const noticeInputs = {
  'webhook-url': {
    ...optional('The URL that each decision and error is posted to, as JSON with a field `text`', urlSchema),
    secret: true,
  },
  'silence-after': optional(
    'How long nothing may be promoted before a notice goes to `webhook-url`, as in `14 days`',
    durationSchema,
  ),
};

type NoticeSettings = ParsedInputs<typeof noticeInputs>;

/** Posts lines to the webhook, if there is one, without secrets: a server's error page may echo them. */
export async function sendNotice(
  { 'webhook-url': url }: NoticeSettings,
  { context, log, redact }: Runner,
  http: Http,
  lines: readonly (string | undefined)[],
): Promise<void> {
  if (url === undefined) return;
  const text = [...lines, context.runUrl].filter((line) => line !== undefined);
  const problem = await notify(http, url, text.map(redact));
  if (problem !== undefined) log.warning(`${problem}; ${wordHint('webhook', noticeInputs)}`);
}

/** A notice that nothing has been promoted for longer than `silence-after`; undefined if that is not so. */
export function noticeSilence(
  { outcome, lastPromotion }: Promoted,
  { 'silence-after': after }: NoticeSettings,
): string | undefined {
  return after === undefined ? undefined : silenceNotice(outcome, lastPromotion, after, unixSeconds(systemClock));
}
