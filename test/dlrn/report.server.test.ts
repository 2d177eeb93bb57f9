import { randomUUID } from 'node:crypto';
import { afterEach, expect, test } from '@jest/globals';
import { UserError } from '../../src/base/errors.js';
import { parseUser } from '../../src/base/schema.js';
import { outcomeSchema, type ReportRequest, reportOutcome } from '../../src/dlrn/report.js';
import { CANDIDATE, dlrnAt, errorOf, faultyDlrn, master, silent, stopProxies } from './support.js';

const NOW = 1_795_485_600;
const NOTES = `${CANDIDATE.tag}@${CANDIDATE.digest}`;

afterEach(stopProxies);

function request(rest: Partial<ReportRequest>): ReportRequest {
  return {
    dlrn: dlrnAt(master().url),
    subject: { kind: 'aggregate', hash: master().hashes[0] ?? '' },
    jobId: `job-${randomUUID()}`,
    jobUrl: 'https://ci.example/1',
    outcome: 'success',
    candidate: CANDIDATE,
    setDigest: undefined,
    timestamp: NOW,
    now: NOW,
    dryRun: false,
    log: silent,
    ...rest,
  };
}

async function votesOf({ dlrn, subject, jobId }: ReportRequest) {
  const votes = await dlrn.votes(subject);
  return votes.filter((vote) => vote.job_id === jobId).map(({ success, notes }) => ({ success, notes }));
}

test.each([
  ['success', true],
  ['failure', false],
] as const)('%s is a vote %s; reported twice, it is stored once', async (outcome, success) => {
  const report = request({ outcome });
  expect(await reportOutcome(report)).toEqual({ notes: NOTES, reported: true });
  expect(await reportOutcome(report)).toEqual({ notes: NOTES, reported: true });
  expect(await votesOf(report)).toEqual([{ success, notes: NOTES }]);
});

test('a set is named behind the candidate', async () => {
  const report = request({ setDigest: CANDIDATE.digest });
  const notes = `${NOTES} set=${CANDIDATE.digest}`;
  expect(await reportOutcome(report)).toEqual({ notes, reported: true });
  expect(await reportOutcome({ ...report, setDigest: undefined })).toEqual({ notes: NOTES, reported: true });
  expect(await votesOf(report)).toEqual([
    { success: true, notes },
    { success: true, notes: NOTES },
  ]);
});

test.each(['cancelled', 'skipped'] as const)('%s is not a vote, and DLRN is not asked', async (outcome) => {
  const proxy = await faultyDlrn();
  expect(await reportOutcome(request({ dlrn: dlrnAt(proxy.url), outcome }))).toEqual({ notes: NOTES, reported: false });
  expect(proxy.requests).toEqual([]);
});

test('a dry run posts nothing, and knows whether DLRN would take it', async () => {
  const proxy = await faultyDlrn();
  const dry = request({ dlrn: dlrnAt(proxy.url), dryRun: true });
  expect(await reportOutcome(dry)).toEqual({ notes: NOTES, reported: false });
  const error = await errorOf(reportOutcome({ ...dry, subject: { kind: 'aggregate', hash: '0'.repeat(32) } }));
  expect(error.message).toContain('DLRN does not know aggregate hash 0000');
  expect(proxy.requests.filter(({ method }) => method !== 'GET')).toEqual([]);
});

test.each<[Partial<ReportRequest>, string]>([
  [{ jobId: '' }, '1 to 256 characters'],
  [{ jobId: 'a\nb' }, '"a\\nb" is not 1 to 256'],
  [{ jobId: 'x'.repeat(257) }, '1 to 256 characters'],
  [{ jobUrl: 'javascript:alert(1)' }, 'is not an http or https URL'],
  [{ jobUrl: `https://ci.example/${'x'.repeat(1024)}` }, 'is not an http or https URL'],
  [{ timestamp: NOW * 1000 }, 's ahead'],
  [{ timestamp: NOW + 301 }, 'the time 1795485901 is 301 s ahead'],
])('%j is refused', async (wrong, message) => {
  const refused = reportOutcome(request(wrong));
  await expect(refused).rejects.toThrow(UserError);
  await expect(refused).rejects.toThrow(message);
});

test('an unknown outcome is an error', () => {
  expect(() => parseUser(outcomeSchema, 'SUCCESS', 'input outcome')).toThrow('input outcome: "SUCCESS" is not one of');
});
