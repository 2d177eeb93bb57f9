import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { rfc3339 } from '../../src/base/clock.js';
import { oneLine } from '../../src/base/errors.js';
import {
  type Candidate,
  candidateSchema,
  formatCandidate,
  type Tag,
  tagSchema,
} from '../../src/candidate/reference.js';
import type { DecisionRecord } from '../../src/criteria/decision-record.js';
import { evaluate } from '../../src/criteria/evaluate.js';
import type { JobResult } from '../../src/criteria/job-result.js';
import { formatBan, formatRecord, type ledgerRecordSchema, parseRecord, sha256 } from '../../src/ledger/codec.js';
import { type Label, labelSchema } from '../../src/ledger/names.js';
import type { LedgerRecord } from '../../src/ledger/record.js';
import type { NightlyHistory } from '../../src/monitoring/nightly.js';
import type { BranchHistory, Failure } from '../../src/monitoring/read-branch.js';
import type { DashboardSettings } from '../../src/monitoring/summarize.js';
import { type CandidateFile, candidateFileSchema } from '../../src/store/candidate-file.js';
import { type LastDecision, lastDecisionSchema } from '../../src/store/last-decision.js';
import { criteriaOf as parsedCriteria } from '../criteria/fixtures.js';

/** Branches as a pipeline leaves them: evaluated, promoted, forced, rolled back. The same seed gives the same branch. */

export const label = (name: string): Label => v.parse(labelSchema, name);
export const tag = (name: string): Tag => v.parse(tagSchema, name);

export const NOW = Date.parse('2026-11-24T11:34:00Z') / 1000;
export const HOUR = 3600;
export const DAY = 24 * HOUR;

export const SETTINGS: DashboardSettings = {
  title: 'Ceph promotions',
  label: label('current-ceph'),
  candidateLabel: label('ceph-ci-testing'),
  targetAge: 14 * DAY,
  heartbeatAge: 4 * DAY,
  workflow: 'promotion.yml',
};

export function jobsOf(branch: string): string[] {
  return ['001', '004'].map((scenario) => `tripleo-ci-centos-9-scenario${scenario}-standalone-ceph-updates-${branch}`);
}

export function criteriaOf(jobs: readonly string[], more = ''): string {
  return `current-ceph:\n  required: ${JSON.stringify(jobs)}\n${more}`;
}

export function candidate(name: string, image = name): Candidate {
  const digest = `sha256:${createHash('sha256').update(image).digest('hex')}`;
  return v.parse(candidateSchema, `quay.io/ceph/daemon:${name}@${digest}`);
}

export function result(job: string, image: Candidate, outcome: JobResult['outcome'], timestamp: number): JobResult {
  return {
    job,
    outcome,
    candidate: { tag: image.tag, digest: image.digest },
    'aggregate-hash': '5b1e2ff02f8f1b7a9c2d0e1f5b1e2ff0',
    timestamp,
    url: `https://review.example/build/${timestamp}`,
    source: 'dlrn',
    user: 'ciuser',
  };
}

export function decide(
  image: Candidate,
  criteria: string,
  results: readonly JobResult[],
  evaluatedAt: number,
): DecisionRecord {
  return evaluate(parsedCriteria(criteria), results, image, { evaluatedAt });
}

export function candidateFile(image: Candidate, created: number): CandidateFile {
  return v.parse(candidateFileSchema, {
    reference: formatCandidate(image),
    tag: image.tag,
    digest: image.digest,
    created: rfc3339(created),
    'run-url': 'https://forge.example/o/r/actions/runs/1/attempts/1',
    'tags-read': 606,
  });
}

export function ban(image: Candidate, since: number, reason = 'OSDs do not start after an update') {
  const { digest, tag } = image;
  return { digest, tag, reason, who: 'alice', since: rfc3339(since) };
}

/** What a record changes, with the keys that its file has. */
export type RecordChanges = Partial<v.InferInput<typeof ledgerRecordSchema>>;

/** A record after `before` (newest first), with what it changes. A forced one gets a decision if it names none. */
export function record(
  before: readonly LedgerRecord[],
  image: Candidate,
  when: number,
  changes: RecordChanges = {},
): LedgerRecord {
  const [head] = before;
  const n = (head?.n ?? 0) + 1;
  const reference = formatCandidate(image);
  const previous = before.find(({ candidate }) => formatCandidate(candidate) !== reference)?.candidate;
  const decision = changes.kind === 'forced' ? decide(image, 'current-ceph: [job-1]', [], when) : null;
  const file = {
    version: 1,
    id: `${1000 + n}/1/${createHash('sha256')
      .update(`${reference} ${n} ${when}`)
      .digest('hex')
      .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5')}`,
    n,
    kind: 'adopted',
    when: rfc3339(when),
    who: 'promotion',
    'run-url': `https://forge.example/o/r/actions/runs/${1000 + n}/attempts/1`,
    event: 'schedule',
    reason: '',
    label: 'current-ceph',
    candidate: reference,
    targets: [
      {
        repository: 'quay.example/tripleomastercentos9/daemon',
        tag: image.tag,
        digest: image.digest,
        source: reference,
      },
    ],
    decision,
    'skipped-jobs': [],
    overridden: [],
    previous: previous === undefined ? null : formatCandidate(previous),
    holds: (head?.holds ?? []).map(formatBan),
    quarantine: (head?.quarantine ?? []).map(formatBan),
    'prev-sha256': head === undefined ? null : sha256(formatRecord(head, undefined)),
    ...changes,
  };
  const parsed = parseRecord(Buffer.from(`${JSON.stringify(file, undefined, 2)}\n`));
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed.value.record;
}

export function lastDecision(changes: Partial<LastDecision> & Pick<LastDecision, 'reference'>): LastDecision {
  return v.parse(lastDecisionSchema, {
    version: 1,
    'decided-at': rfc3339(NOW - 9 * HOUR),
    decision: 'unchanged',
    reason: 'it is promoted already',
    'run-url': 'https://forge.example/o/r/actions/runs/9999/attempts/1',
    report: null,
    ...changes,
  });
}

/** A branch with a source that cannot be read. */
export function downHistory(branch = 'zed', source: Failure['source'] = 'ledger'): BranchHistory {
  return emptyHistory(branch, { failures: [{ source, why: 'GET https://images.example: no answer' }] });
}

/** A branch without anything. */
export function emptyHistory(branch = 'master', changes: Partial<BranchHistory> = {}): BranchHistory {
  return {
    branch,
    url: `https://images.example/ceph/daemon/${branch}`,
    owner: undefined,
    changes: [],
    dlrn: undefined,
    failures: [],
    records: [],
    headSha256: changes.records?.[0] && sha256(formatRecord(changes.records[0], undefined)),
    labelTag: undefined,
    previousTag: changes.records?.[0]?.previous?.tag,
    candidateTag: undefined,
    candidateFiles: new Map(),
    lastDecision: undefined,
    votes: [],
    ...changes,
  };
}

/** Pseudorandom numbers in [0, 1), the same for the same seed (mulberry32). */
function chanceOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A branch with this many promotions, on average one every `everySeconds`, the newest a few days ago. */
export function busyHistory(
  branch: string,
  promotions: number,
  everySeconds = 7 * DAY,
  seed = 1,
  now = NOW,
): BranchHistory {
  const chance = chanceOf(seed);
  const jobs = jobsOf(branch);
  const criteria = criteriaOf(jobs);
  let records: readonly LedgerRecord[] = [];
  const files = new Map<Tag, CandidateFile>();
  for (let index = 0; index < promotions; index += 1) {
    const image = candidate(`v6.0.${index}-stable-6.0-pacific-centos-stream8-x86_64`);
    const when = now - 3 * DAY - Math.round((promotions - 1 - index + 0.6 * (chance() - 0.5)) * everySeconds);
    const found = when - Math.round((4 + 60 * chance() ** 3) * HOUR);
    const isForced = index % 9 === 5;
    const results = jobs.flatMap((job, place) => {
      const first = found + Math.round((when - found) * (0.3 + 0.1 * place));
      const passed = result(job, image, 'success', first + 2 * HOUR);
      return chance() < 0.2 ? [result(job, image, 'failure', first), passed] : [passed];
    });
    const votes = isForced ? results.filter(({ job }) => job === jobs[0]) : results;
    const decision = decide(image, criteria, votes, when);
    files.set(image.tag, candidateFile(image, found));
    const forced: RecordChanges = {
      kind: 'forced',
      who: 'alice',
      event: 'workflow_dispatch',
      reason: 'scenario004 cannot run: the lab has no power',
      'skipped-jobs': jobs.slice(1),
      overridden: ['wait'],
      decision,
    };
    const earned: RecordChanges = { kind: 'earned', reason: decision.reason, decision };
    records = [record(records, image, when, isForced ? forced : earned), ...records];
    const [, before] = records;
    if (index % 8 === 7 && before !== undefined && index < promotions - 1) {
      const back = before.candidate;
      const since = when + Math.round(20 * HOUR * chance() * Math.min(1, everySeconds / DAY / 2));
      const reason = 'OSDs do not start after an update';
      const changes: RecordChanges = { kind: 'rollback', who: 'bob', reason, holds: [ban(image, since)] };
      records = [record(records, back, since, changes), ...records];
    }
  }
  const [head] = records;
  const next = candidate(`v6.0.${promotions}-stable-6.0-pacific-centos-stream8-x86_64`);
  files.set(next.tag, candidateFile(next, now - 33 * HOUR));
  const [first = '', second = ''] = jobs;
  const votes = [result(first, next, 'success', now - 28 * HOUR), result(second, next, 'failure', now - 25 * HOUR)];
  const waivers = `  waivers: [{job: ${first}, until: ${rfc3339(now + 5 * DAY).slice(0, 10)}, reason: "flaky since the move of the lab", issue: "https://bugs.example/1981329"}]\n`;
  const report = decide(next, criteriaOf(jobs, waivers), votes, now - 9 * HOUR);
  return emptyHistory(branch, {
    records,
    labelTag: head?.candidate.tag,
    candidateTag: next.tag,
    candidateFiles: files,
    lastDecision: lastDecision({
      'decided-at': rfc3339(now - 9 * HOUR),
      reference: formatCandidate(next),
      decision: report.verdict === 'promote' ? 'promote' : report.verdict,
      reason: report.reason,
      report,
    }),
  });
}

/** Two weeks of nightly builds of the two scenarios. */
export function nightlyJobs(): NightlyHistory[] {
  const outcomes = ['success', 'success', 'failure', 'success', 'success', 'success', 'unknown'] as const;
  const results = { running: null, success: 'SUCCESS', failure: 'FAILURE', unknown: 'NODE_FAILURE' };
  return ['001', '004'].map((scenario, shift) => ({
    job: `tripleo-ci-centos-9-scenario${scenario}-ceph-nightly-master`,
    failure: undefined,
    builds: Array.from({ length: 14 }, (_, nights): NightlyHistory['builds'][number] => {
      const outcome = nights + shift === 0 ? 'running' : (outcomes[(nights + shift) % outcomes.length] ?? 'success');
      return {
        outcome,
        result: results[outcome],
        when: outcome === 'running' ? null : rfc3339(NOW - 8 * HOUR - nights * DAY),
        url: outcome === 'running' ? null : `https://logs.example/scenario${scenario}/${nights}`,
      };
    }),
  }));
}

/** Text that a name or a sentence from outside may contain. */
export const HOSTILE = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  '</style></title></svg><!--',
  '\u202egnp.exe\u2066',
  '\u0000\u001b[31m\ud800',
  '&lt;b&gt; {{7*7}} ${x}',
];

/** A branch with this text wherever text from outside can be. */
export function hostileHistory(text: string): BranchHistory {
  const [image, before] = [candidate('v6.0.8-new'), candidate('v6.0.7-old')];
  const line = oneLine(text, 200) || 'x';
  const jobs = [`a${line}`, `b${line}`];
  const waivers = `  waivers: [{job: ${JSON.stringify(jobs[0])}, until: 2026-12-01, reason: ${JSON.stringify(`r${line}`)}, issue: ${JSON.stringify(`i${line}`)}}]\n`;
  const votes = [result(jobs[1] ?? '', image, 'failure', NOW - DAY)];
  const report = { ...decide(image, criteriaOf(jobs, waivers), votes, NOW - HOUR), reason: text, warnings: [text] };
  const promotion = record([], before, NOW - 2 * DAY, {
    kind: 'forced',
    who: line,
    reason: line,
    'skipped-jobs': jobs,
    holds: [{ ...ban(image, NOW - DAY, line), who: line }],
  });
  return emptyHistory('master', {
    failures: [{ source: 'DLRN', why: text }],
    records: [promotion],
    labelTag: before.tag,
    lastDecision: lastDecision({ reference: formatCandidate(image), decision: 'wait', reason: text, report }),
  });
}

/** A nightly job with this text as name, result and link. */
export function hostileNightly(text: string): NightlyHistory[] {
  const build = { outcome: 'unknown', result: text, when: null, url: text } as const;
  return [
    { job: `n${oneLine(text, 200)}`, failure: undefined, builds: [build] },
    { job: 'none', failure: text, builds: [] },
  ];
}
