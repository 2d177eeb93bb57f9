import * as v from 'valibot';
import { durationSchema, parseUser } from '../base/schema.js';
import { candidateSchema, tagSchema } from '../candidate/reference.js';
import { daySchema, mapping, parseCriteria, parseYaml } from './criteria-file.js';
import { evaluate } from './evaluate.js';
import { type JobResult, jobNameSchema } from './job-result.js';

/**
 * Tests of a criteria file, kept beside it as `criteria.test.yml`: for each label a list of cases, each with votes and
 * the verdict that they must lead to.
 */

const voteSchema = mapping({
  job: v.pipe(jobNameSchema, v.description('The job')),
  outcome: v.pipe(v.picklist(['success', 'failure', 'running']), v.description('Its outcome')),
  age: v.optional(
    v.pipe(v.string(), v.description('How long ago, as in `3 days`; now if absent'), durationSchema),
    '0 minutes',
  ),
  'aggregate-hash': v.optional(
    v.pipe(
      v.string(),
      v.description('The aggregate hash that it is on, as any text; the same for all votes if absent'),
    ),
    'one',
  ),
  image: v.optional(
    v.pipe(
      v.picklist(['candidate', 'bare-tag', 'other-digest', 'other-tag', 'none']),
      v.description('The image that it is on; the candidate if absent'),
    ),
    'candidate',
  ),
  user: v.exactOptional(v.pipe(v.string(), v.description('Who reported it'))),
});

const caseSchema = mapping({
  name: v.pipe(v.string(), v.nonEmpty('is empty'), v.description('The case, in words')),
  day: v.exactOptional(v.pipe(daySchema, v.description('The day of the evaluation, for waivers; today if absent'))),
  votes: v.pipe(v.array(voteSchema), v.description('The votes that there are; may be empty')),
  verdict: v.pipe(v.picklist(['promote', 'wait', 'reject']), v.description('The verdict that they must lead to')),
});

/** A whole test file: labels, each with its cases. */
export const policyTestsSchema = v.record(tagSchema, v.pipe(v.array(caseSchema), v.minLength(1, 'has no case')));

export interface PolicyTest {
  readonly label: string;
  readonly name: string;
  readonly expected: string;
  readonly verdict: string;
  readonly reason: string;
  readonly passed: boolean;
}

const CANDIDATE = v.parse(candidateSchema, `registry.example/ceph/daemon:v2@sha256:${'0'.repeat(64)}`);
const OTHER = v.parse(candidateSchema, `registry.example/ceph/daemon:v1@sha256:${'1'.repeat(64)}`);

const IMAGES: Record<v.InferOutput<typeof voteSchema>['image'], Pick<JobResult, 'candidate'>> = {
  candidate: { candidate: { tag: CANDIDATE.tag, digest: CANDIDATE.digest } },
  'bare-tag': { candidate: { tag: CANDIDATE.tag } },
  'other-digest': { candidate: { tag: CANDIDATE.tag, digest: OTHER.digest } },
  'other-tag': { candidate: { tag: OTHER.tag, digest: OTHER.digest } },
  none: {},
};

/** A statement that somebody signed. Tests of criteria verify no signature. */
function attested(type: string): NonNullable<JobResult['attestation']> {
  return { type, by: 'the signer in the criteria', repository: 'registry.example/ceph/daemon', sha256: '0'.repeat(64) };
}

/** Runs the tests of a criteria file. `now` in unix seconds. Throws a UserError if a file does not parse. */
export function runPolicyTests(criteriaFile: string, testFile: string, now: number): PolicyTest[] {
  const tests = parseUser(policyTestsSchema, parseYaml(testFile, 'criteria tests'), 'criteria tests');
  return Object.entries(tests).flatMap(([label, cases]) => {
    const criteria = parseCriteria(criteriaFile, label);
    return cases.map(({ name, day, votes, verdict: expected }) => {
      const evaluatedAt = day === undefined ? now : Date.parse(day) / 1000;
      const results = votes.map(({ age, image, ...vote }): JobResult => {
        const own = { ...vote, ...IMAGES[image], timestamp: evaluatedAt - age };
        if (vote.job === criteria.promotedIn?.job) return { ...own, source: 'ledger' };
        const type = criteria.attestations.find(({ name: job }) => job === vote.job)?.type;
        return type === undefined
          ? { ...own, source: 'dlrn' }
          : { ...own, source: 'attestation', attestation: attested(type) };
      });
      const { verdict, reason } = evaluate(criteria, results, CANDIDATE, { evaluatedAt });
      return { label, name, expected, verdict, reason, passed: verdict === expected };
    });
  });
}

/** The path of the test file: `criteria.test.yml` beside `criteria.yml`. */
export function policyTestFile(criteriaFile: string): string {
  return `${criteriaFile.replace(/\.ya?ml$/, '')}.test.yml`;
}

export function explainPolicyTest({ label, name, expected, verdict, reason, passed }: PolicyTest): string {
  const got = passed ? verdict : `expected ${expected}, got ${verdict}: ${reason}`;
  return `${passed ? '✅' : '❌'} ${label}: ${name}: ${got}`;
}
