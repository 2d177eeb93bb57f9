/**
 * The promotion criteria, evaluated as docs/reference/criteria.md says, written from that document alone, without
 * looking at src/. Plain, slow and obvious on purpose: document-evaluator.test.ts compares it with the product. Change
 * it only where the document changes.
 *
 * Text in quotation marks in a comment is from the document. A line `Q:` is a question that the document left open, and
 * our reading of it.
 */

/** The image to decide about. `setDigest` is there if it has companions. */
export type Candidate = { repository: string; tag: string; digest: string; setDigest?: string | undefined };

/** One label's criteria, with the keys of the file; the durations in words. */
export type Criteria = {
  required?: string[] | undefined;
  'any-of'?: string[][] | undefined;
  attestations?: { type: string; name?: string }[] | undefined;
  'max-age'?: string | undefined;
  'trusted-users'?: string[] | undefined;
  'promoted-in'?: { label: string; for: string };
  waivers?: { job: string; until: string; reason: string }[];
  'across-hashes'?: boolean;
  'bare-tags'?: boolean;
};

/** What was said about a job, as its source says it. All times are unix seconds. */
export type Report = Vote | Needed | Build | Statement | Stay;

/** A vote in DLRN. */
export type Vote = {
  source: 'dlrn';
  job: string;
  success?: boolean | undefined;
  inProgress?: boolean | undefined;
  notes?: string | undefined;
  user?: string | undefined;
  aggregateHash?: string | undefined;
  time: number;
};

/** A job of the workflow's `needs`, with its outputs `reference` and `set-digest`; `attempt` is the run's. */
export type Needed = {
  source: 'needs';
  job: string;
  result: string;
  reference?: string | undefined;
  setDigest?: string | undefined;
  attempt: number;
};

/** A build in Zuul, with its artifacts of type `ceph_candidate`; `result` is absent while it runs. */
export type Build = {
  source: 'zuul';
  job: string;
  result?: string | undefined;
  artifacts: { reference?: string | undefined; setDigest?: string | undefined }[];
  start?: number | undefined;
  end?: number | undefined;
};

/** A signed statement about the candidate's digest that was found attached, and is signed as the criteria require. */
export type Statement = { source: 'attestation'; name: string };

/** A time span in which the candidate was promoted under the label of `promoted-in`; `banned`: it is on hold or quarantined there now. */
export type Stay = {
  source: 'ledger';
  promoted: number;
  replaced?: number | undefined;
  setDigest?: string | undefined;
  banned?: boolean | undefined;
};

export type State = 'met' | 'unmet' | 'unknown';

/** "A waiver that has ended is an error" */
export class EndedWaiver extends Error {}

/** The verdict, and the state of each job as seen from each hash: `''` is the hash of the results without one. */
export type Evaluation = {
  verdict: 'promote' | 'wait' | 'reject';
  states: Map<string, Map<string, State>>;
};

/** "A *result* is what one run of one job says of one image: success, failure or running, with a time, and with DLRN an aggregate hash and a user." */
type Result = {
  source: 'dlrn' | 'needs' | 'zuul';
  job: string;
  outcome: 'success' | 'failure' | 'running';
  image: Image;
  hash: string;
  user?: string | undefined;
  /** absent: the source gives none */
  time?: number | undefined;
  ageKnown: boolean;
};

/** What a result says that it tested: an image, a tag without a digest, no tag at all, or (in Zuul) nothing that can be read. */
type Image =
  | { kind: 'digest'; repository?: string | undefined; tag: string; digest: string; setDigest?: string | undefined }
  | { kind: 'tag'; tag: string }
  | { kind: 'no-tag' }
  | { kind: 'unreadable' };

const FIVE_MINUTES = 5 * 60;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
/** `<tag>@<digest>`, and ` set=<set-digest>` for a set */
const EXACT_NOTES = /^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})@(sha256:[0-9a-f]{64})(?: set=(sha256:[0-9a-f]{64}))?$/;
/** a repository with its registry, a tag and a digest */
const REFERENCE = /^([^@/\s]+[.:][^@/\s]*\/[^@\s]+):([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})@(sha256:[0-9a-f]{64})$/;

/**
 * "The criteria file … is … one mapping from labels to their criteria."
 * @param file the file's content, parsed
 */
export function criteriaOf(file: Record<string, unknown>, label: string): Criteria {
  // "The configuration of RDO's promoter is read too: the label is below `promotions`, its `criteria` are required,
  // and a job with `alternative_criteria` is a group with its alternatives."
  if (file.promotions !== undefined) {
    type Rdo = { criteria: string[]; alternative_criteria?: Record<string, string[]> };
    const { criteria, alternative_criteria: alternatives = {} } = (file.promotions as Record<string, Rdo>)[
      label
    ] as Rdo;
    return {
      required: criteria.filter((job) => !(job in alternatives)),
      'any-of': criteria.filter((job) => job in alternatives).map((job) => [job, ...(alternatives[job] ?? [])]),
    };
  }
  // "RDO's plain form, `current-ceph: [job-a, job-b]`, is read as `required`."
  const criteria = file[label];
  return Array.isArray(criteria) ? { required: criteria } : (criteria as Criteria);
}

/**
 * The verdict on a candidate, and the state of each job.
 * @param now unix seconds, whole
 * @throws EndedWaiver
 */
export function evaluateByDocument(
  criteria: Criteria,
  candidate: Candidate,
  reports: Report[],
  now: number,
): Evaluation {
  const waived = waivedJobs(criteria, now);
  const results = resultsOf(criteria, candidate, reports, now);
  const requirements = requirementsOf(criteria, waived);

  const states = new Map<string, Map<string, State>>();
  for (const hash of hashesOf(criteria, results)) {
    const onHash = new Map<string, State>();
    for (const job of jobsOf(criteria)) onHash.set(job, stateOfJob(criteria, candidate, results, now, job, hash));
    // "Each is a requirement of its own. Its name stands wherever a job's name does"
    for (const name of attestationsOf(criteria)) onHash.set(name, stateOfAttestation(reports, name));
    const promotedIn = promotedInOf(criteria);
    if (promotedIn) onHash.set(promotedIn, stateOfPromotedIn(criteria, candidate, reports, now));
    states.set(hash, onHash);
  }

  // "reject | a requirement is red"
  if (
    requirements.some((requirement) =>
      isRed(requirement, waived, (name) => outcomeOf(criteria, candidate, reports, results, now, name)),
    )
  ) {
    return { verdict: 'reject', states };
  }
  // "promote | otherwise, if there is one hash on which all requirements are met"
  for (const onHash of states.values()) {
    // "A requirement is **met** on a hash if one of its jobs is met there, waived or not."
    if (requirements.every((requirement) => requirement.some((name) => onHash.get(name) === 'met'))) {
      return { verdict: 'promote', states };
    }
  }
  // "wait | otherwise"
  return { verdict: 'wait', states };
}

/** The jobs that met a requirement, as seen from a hash. */
export function jobsThatMet(criteria: Criteria, { states }: Evaluation, hash: string, now: number): string[] {
  // "a requirement whose jobs are all waived is none, now as well as then."
  const names = requirementsOf(criteria, waivedJobs(criteria, now)).flat();
  return names.filter((name) => states.get(hash)?.get(name) === 'met');
}

/**
 * Whether what is promoted has regressed.
 * @param promoted the promoted image
 * @param reports all that is reported now
 * @param metAtPromotion the jobs that met a requirement when it was promoted
 */
export function regressedByDocument(
  criteria: Criteria,
  promoted: Candidate,
  reports: Report[],
  now: number,
  metAtPromotion: string[],
): boolean {
  const waived = waivedJobs(criteria, now);
  const results = resultsOf(criteria, promoted, reports, now);
  const outcome = (name: string) => outcomeOf(criteria, promoted, reports, results, now, name);
  // "a requirement whose jobs are all waived is none, now as well as then."
  return requirementsOf(criteria, waived).some(
    (requirement) =>
      // "if a requirement is red now by results on the promoted image,"
      isRed(requirement, waived, outcome) &&
      // "and one of the jobs that failed in it, waived or not, had met a requirement when the image was promoted."
      // "A job that is unknown, too old or skipped has not failed"
      requirement.some((name) => outcome(name) === 'failure' && metAtPromotion.includes(name)),
  );
}

// ---- The criteria ----

/** The jobs of the criteria, once each. */
function jobsOf(criteria: Criteria): string[] {
  return [...(criteria.required ?? []), ...(criteria['any-of'] ?? []).flat()];
}

/** "optional; What waivers, skips and explanations call it; `type` if absent" */
function attestationsOf(criteria: Criteria): string[] {
  return (criteria.attestations ?? []).map((attestation) => attestation.name ?? attestation.type);
}

/** "waived and skipped as `promoted-in:<label>`" */
function promotedInOf(criteria: Criteria): string | undefined {
  return criteria['promoted-in'] && `promoted-in:${criteria['promoted-in'].label}`;
}

/** The names that a waiver is there for. */
function waivedJobs(criteria: Criteria, now: number): string[] {
  const today = new Date(now * 1000).toISOString().slice(0, 10);
  return (criteria.waivers ?? []).map((waiver) => {
    // "The last day of the waiver, in UTC; afterwards it is an error"
    if (waiver.until < today) throw new EndedWaiver(waiver.job);
    return waiver.job;
  });
}

/** "Each job in `required` is a requirement by itself, and so is each group of `any-of`." */
function requirementsOf(criteria: Criteria, waived: string[]): string[][] {
  const promotedIn = promotedInOf(criteria);
  const all = [
    ...(criteria.required ?? []).map((job) => [job]),
    ...(criteria['any-of'] ?? []),
    ...attestationsOf(criteria).map((name) => [name]),
    ...(promotedIn ? [[promotedIn]] : []),
  ];
  // "A requirement whose jobs are all waived is left out."
  return all.filter((requirement) => !requirement.every((name) => waived.includes(name)));
}

/** "A duration is a whole number and `minutes`, `hours` or `days`." In seconds. */
function durationOf(text: string): number {
  const unit = text.includes('minute') ? 60 : text.includes('hour') ? 3600 : 86400;
  return Number.parseInt(text, 10) * unit;
}

// ---- What a job says ----

/** The results of the criteria's jobs, from the reports. */
function resultsOf(criteria: Criteria, candidate: Candidate, reports: Report[], now: number): Result[] {
  const results: Result[] = [];
  for (const report of reports) {
    let result: Result | undefined;
    // "No vote counts for an attestation, and no statement counts for a job."
    if (report.source === 'attestation' || report.source === 'ledger') continue;
    if (report.source === 'dlrn') result = resultOfVote(report);
    if (report.source === 'needs') result = resultOfNeeds(report, candidate, now);
    if (report.source === 'zuul') result = resultOfBuild(report);
    // "1. Its job is named in the criteria. Job names are equal or not: never substrings, never patterns."
    if (result && jobsOf(criteria).includes(result.job)) results.push(result);
  }
  return results;
}

function resultOfVote(vote: Vote): Result {
  // "A job **runs** while DLRN's vote is `in_progress` or has no `success`"
  const outcome = vote.inProgress || vote.success === undefined ? 'running' : vote.success ? 'success' : 'failure';
  return {
    source: 'dlrn',
    job: vote.job,
    outcome,
    image: outcome === 'failure' ? imageOfFailedVote(vote.notes ?? '') : imageOfVote(vote.notes ?? ''),
    // "Results without an aggregate hash share one hash of their own."
    hash: vote.aggregateHash ?? '',
    user: vote.user,
    // "Its time is the vote's" "Fractions of a second are cut off, downwards."
    time: Math.floor(vote.time),
    ageKnown: true,
  };
}

/**
 * "The notes of a pass, and of a job that runs, are exactly `<tag>@<digest>`, with ` set=<set-digest>` behind it for a
 * set, or `<tag>` alone, which counts only with
 * `bare-tags`; anything else names no image."
 */
function imageOfVote(notes: string): Image {
  const exact = EXACT_NOTES.exec(notes);
  if (exact) return { kind: 'digest', tag: String(exact[1]), digest: String(exact[2]), setDigest: exact[3] };
  if (TAG.test(notes)) return { kind: 'tag', tag: notes };
  return { kind: 'no-tag' };
}

/**
 * "The notes of a failure are read more generously: spaces around them are dropped, and then all from ` set=` on. If no
 * space is left, the tag is what stands before the first `@`, after its last `:`. A digest alone, such as `sha256:…`,
 * names no tag."
 */
function imageOfFailedVote(notes: string): Image {
  // "The digest counts only in the exact form, which has no spaces around it."
  const exact = imageOfVote(notes);
  if (exact.kind === 'digest') return exact;
  const text = String(notes.trim().split(' set=')[0]);
  if (/\s/.test(text)) return { kind: 'no-tag' };
  const beforeAt = String(text.split('@')[0]);
  if (/^sha\d+:[0-9a-f]*$/i.test(beforeAt)) return { kind: 'no-tag' };
  const tag = beforeAt.slice(beforeAt.lastIndexOf(':') + 1);
  return TAG.test(tag) ? { kind: 'tag', tag } : { kind: 'no-tag' };
}

function resultOfNeeds(needed: Needed, candidate: Candidate, now: number): Result | undefined {
  const common = { source: 'needs', job: needed.job, hash: '', time: now } as const;
  if (needed.result === 'success') {
    // "success: the outputs `reference` and `set-digest`"
    const image = imageOfReference(needed.reference, needed.setDigest);
    // "A pass from `needs` has an age only in the first attempt of a run"
    return { ...common, outcome: 'success', image, ageKnown: needed.attempt === 1 };
  }
  if (needed.result === 'failure') {
    // "failure: the candidate and its set"
    return { ...common, outcome: 'failure', image: { kind: 'digest', ...candidate }, ageKnown: true };
  }
  // "A job that was skipped, cancelled, aborted or never began says nothing."
  return undefined;
}

function resultOfBuild(build: Build): Result | undefined {
  // "the build's artifact of type `ceph_candidate`: `reference`, and for a set `set-digest`";
  // not: "without an artifact, with one that cannot be read, or with several that differ"
  const images = build.artifacts.map((artifact) => imageOfReference(artifact.reference, artifact.setDigest));
  const same = images.every((image) => JSON.stringify(image) === JSON.stringify(images[0]));
  const image: Image = images[0] !== undefined && same ? images[0] : { kind: 'unreadable' };
  // "the end of the build, or else its start"
  const time = build.end ?? build.start;
  const common = {
    source: 'zuul',
    job: build.job,
    image,
    hash: '',
    time: time === undefined ? undefined : Math.floor(time),
    ageKnown: true,
  } as const;
  if (build.result === undefined) {
    // "while a Zuul build that names its image has no result"
    return image.kind === 'digest' ? { ...common, outcome: 'running' } : undefined;
  }
  if (build.result === 'SUCCESS') return { ...common, outcome: 'success' };
  if (['FAILURE', 'POST_FAILURE', 'TIMED_OUT', 'DISK_FULL'].includes(build.result)) {
    return { ...common, outcome: 'failure' };
  }
  // "A job that was skipped, cancelled, aborted or never began says nothing."
  return undefined;
}

/** "A `reference` has a repository with its registry, a tag and a digest." An empty output is none. */
function imageOfReference(reference = '', setDigest = ''): Image {
  const parts = REFERENCE.exec(reference);
  if (!parts) return { kind: 'unreadable' };
  // Q: Can an artifact be read if only its set-digest cannot? No: then nobody knows what was tested.
  if (setDigest !== '' && !DIGEST.test(setDigest)) return { kind: 'unreadable' };
  const [, repository, tag, digest] = parts.map(String) as [string, string, string, string];
  return { kind: 'digest', repository, tag, digest, setDigest: setDigest || undefined };
}

// ---- Which results count ----

/** "A result **counts** if all of this is true" */
function counts(criteria: Criteria, candidate: Candidate, now: number, result: Result): boolean {
  return isOnCandidate(criteria, candidate, result) && isTrusted(criteria, result) && isTimely(result, now);
}

/** Rule 2. */
function isOnCandidate(criteria: Criteria, candidate: Candidate, result: Result): boolean {
  const image = result.image;
  // "With `bare-tags` a result that names the tag without a digest is on the candidate too."
  // "If the candidate has companions, the result names the set too" - a bare tag names none.
  if (image.kind === 'tag') {
    return criteria['bare-tags'] === true && image.tag === candidate.tag && candidate.setDigest === undefined;
  }
  if (image.kind !== 'digest') return false;
  // "With `needs` all of it is compared; in Zuul, the tag and the digest."
  if (result.source === 'needs' && image.repository !== candidate.repository) return false;
  return (
    // "its tag is the candidate's tag, and its digest is the candidate's digest."
    image.tag === candidate.tag &&
    image.digest === candidate.digest &&
    // "A result on another set, or on a set where the candidate has no companions, is not on the candidate."
    image.setDigest === candidate.setDigest
  );
}

/** Rule 3. */
function isTrusted(criteria: Criteria, result: Result): boolean {
  // "Results of needs and Zuul have no user, and count."
  if (criteria['trusted-users'] === undefined || result.source !== 'dlrn') return true;
  // "With `trusted-users`, a vote in DLRN is by one of them. A vote without a user is by none of them."
  return result.user !== undefined && criteria['trusted-users'].includes(result.user);
}

/** Rule 4. A result without a time does not fulfil it. */
function isTimely(result: Result, now: number): boolean {
  // "Its time is not before 1970, and at most five minutes ahead of the evaluation."
  return result.time !== undefined && result.time >= 0 && result.time <= now + FIVE_MINUTES;
}

/** "The **newest** of a job's results is the one with the latest time." All of `results` have a time. */
function newest(results: Result[]): Result | undefined {
  // "Of equal times a failure is newer than a running job, and a running job is newer than a pass.
  // Of passes at equal times, one whose age is not known is newer than one whose age is known."
  const rank = (result: Result) =>
    result.outcome === 'failure' ? 3 : result.outcome === 'running' ? 2 : result.ageKnown ? 0 : 1;
  let best: Result | undefined;
  for (const result of results) {
    const newer =
      best === undefined ||
      Number(result.time) > Number(best.time) ||
      (result.time === best.time && rank(result) > rank(best));
    if (newer) best = result;
  }
  return best;
}

/** Whether a failure blocks its job as unproven if its time is right: rules 1 and 3 hold, and it is unclear which image failed. */
function isUnproven(criteria: Criteria, candidate: Candidate, counting: Result[], result: Result): boolean {
  if (result.outcome !== 'failure') return false;
  // "Where rule 3 refuses them, they do not."
  if (!isTrusted(criteria, result)) return false;
  if (isOnCandidate(criteria, candidate, result)) return false;
  const image = result.image;
  // "In Zuul it is a failed build without an artifact, with one that cannot be read, or with several that differ."
  if (image.kind === 'unreadable') return true;
  // "if it names the candidate's tag without a digest that can be read (and `bare-tags` is off, or the candidate has
  // companions)"
  if (image.kind === 'tag' && image.tag === candidate.tag) return true;
  // "or if it names no tag at all: no notes, text without a tag, or a word without a digit that is not the candidate's
  // tag."
  if (image.kind === 'no-tag' || (image.kind === 'tag' && !/[0-9]/.test(image.tag))) {
    // "A vote that names no tag blocks only a candidate on which the same job has a result that counts on the same
    // aggregate hash, even with `across-hashes`."
    return counting.some((other) => other.job === result.job && other.hash === result.hash);
  }
  // "or names the candidate's tag and digest with another set."
  return (
    image.kind === 'digest' &&
    image.tag === candidate.tag &&
    image.digest === candidate.digest &&
    image.setDigest !== candidate.setDigest
  );
}

// ---- The state of a job ----

/** "The state is as seen from one aggregate hash. The first line that applies decides" */
function stateOfJob(
  criteria: Criteria,
  candidate: Candidate,
  all: Result[],
  now: number,
  job: string,
  hash: string,
): State {
  const results = all.filter((result) => result.job === job);
  const counting = results.filter((result) => counts(criteria, candidate, now, result));

  // "unmet | the newest result that counts, over all hashes, is a failure"
  if (newest(counting)?.outcome === 'failure') return 'unmet';

  // "unknown | an undated failure blocks the job"
  // "*Undated*: a failure that would count, or be unproven, if its time fulfilled rule 4. … no pass helps."
  const undated = results.some(
    (result) =>
      result.outcome === 'failure' &&
      !isTimely(result, now) &&
      ((isOnCandidate(criteria, candidate, result) && isTrusted(criteria, result)) ||
        isUnproven(criteria, candidate, counting, result)),
  );
  if (undated) return 'unknown';

  // "unknown | an unproven failure blocks the job"
  // "An unproven failure blocks its job until a pass that counts has a later time, on whatever hash."
  const unproven = results.some(
    (result) =>
      isTimely(result, now) &&
      isUnproven(criteria, candidate, counting, result) &&
      !counting.some((other) => other.outcome === 'success' && Number(other.time) > Number(result.time)),
  );
  if (unproven) return 'unknown';

  // "unknown | the job has no result that counts"
  if (counting.length === 0) return 'unknown';

  // "unknown | of the results that count, over all hashes, the newest that is not running is a failure: the job failed
  // and runs again"
  if (newest(counting.filter((result) => result.outcome !== 'running'))?.outcome === 'failure') return 'unknown';

  // "unknown | the newest result that counts on this hash is not a pass, or there is none"
  // "With `across-hashes`, all results do" share one hash.
  const newestHere = newest(counting.filter((result) => criteria['across-hashes'] || result.hash === hash));
  if (newestHere?.outcome !== 'success') return 'unknown';

  // "unknown | `max-age` is set, and that pass is older than `max-age`, or its age is not known"
  if (criteria['max-age'] !== undefined) {
    if (!newestHere.ageKnown) return 'unknown';
    if (now - Number(newestHere.time) > durationOf(criteria['max-age'])) return 'unknown';
  }

  // "met | otherwise"
  return 'met';
}

/** "It is *met* if a statement … Otherwise it is *unknown*"; "it counts on every aggregate hash and for every set, and `max-age` does not apply." */
function stateOfAttestation(reports: Report[], name: string): State {
  return reports.some((report) => report.source === 'attestation' && report.name === name) ? 'met' : 'unknown';
}

/** "With `promoted-in` the candidate must have been promoted under another label for some time" */
function stateOfPromotedIn(criteria: Criteria, candidate: Candidate, reports: Report[], now: number): State {
  const stays = reports.filter((report) => report.source === 'ledger');
  // "It is unmet, and the candidate rejected, while the image is on hold or quarantined there."
  if (stays.some((stay) => stay.banned)) return 'unmet';
  // "The candidate counts with the same companions only."
  const own = stays.filter((stay) => stay.setDigest === candidate.setDigest);
  if (own.length === 0) return 'unknown';
  // "Its newest stay there counts, from its promotion until another image took its place."
  const stay = own.reduce((best, other) => (other.promoted > best.promoted ? other : best));
  const stayed = (stay.replaced ?? now) - stay.promoted;
  return stayed >= durationOf(criteria['promoted-in']?.for ?? '') ? 'met' : 'unknown';
}

// ---- The verdict ----

/** The hashes from which a job can be seen: those of the results, and the one of results without a hash. */
function hashesOf(criteria: Criteria, results: Result[]): string[] {
  if (criteria['across-hashes']) return [''];
  // "it counts on every aggregate hash, even without any result"
  return [...new Set(['', ...results.map((result) => result.hash)])];
}

/** The outcome of the newest result that counts, over all hashes; of a ban under `promoted-in`, a failure. */
function outcomeOf(
  criteria: Criteria,
  candidate: Candidate,
  reports: Report[],
  results: Result[],
  now: number,
  name: string,
): 'success' | 'failure' | 'running' | undefined {
  if (attestationsOf(criteria).includes(name)) {
    return stateOfAttestation(reports, name) === 'met' ? 'success' : undefined;
  }
  if (name === promotedInOf(criteria)) {
    const state = stateOfPromotedIn(criteria, candidate, reports, now);
    return state === 'unmet' ? 'failure' : state === 'met' ? 'success' : undefined;
  }
  return newest(results.filter((result) => result.job === name && counts(criteria, candidate, now, result)))?.outcome;
}

/**
 * "A requirement is **red** if the newest result that counts of each of its jobs that are not waived is a failure, and
 * the newest that counts of none of its waived jobs is a pass."
 */
function isRed(
  requirement: string[],
  waived: string[],
  outcome: (name: string) => 'success' | 'failure' | 'running' | undefined,
): boolean {
  return (
    requirement.filter((name) => !waived.includes(name)).every((name) => outcome(name) === 'failure') &&
    !requirement.filter((name) => waived.includes(name)).some((name) => outcome(name) === 'success')
  );
}
