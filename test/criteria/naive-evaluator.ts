/**
 * docs/reference/criteria.md once more, sentence by sentence, and nothing else: it shares no code with the product and
 * takes no care to be fast. Where the two disagree, one of them does not do what the document says.
 */

interface NaiveResult {
  readonly job: string;
  readonly outcome: 'success' | 'failure' | 'running';
  readonly candidate?: { readonly tag: string; readonly digest?: string };
  readonly 'aggregate-hash'?: string;
  readonly timestamp: number;
  readonly 'age-unknown'?: true;
  readonly source: 'dlrn' | 'needs' | 'zuul' | 'attestation' | 'ledger';
  readonly user?: string;
}

interface NaiveCriteria {
  readonly required?: readonly string[];
  readonly 'any-of'?: readonly (readonly string[])[];
  readonly 'max-age'?: string;
  readonly 'trusted-users'?: readonly string[];
  readonly waivers?: readonly { readonly job: string }[];
  readonly 'across-hashes'?: boolean;
  readonly 'bare-tags'?: boolean;
}

const UNITS: Record<string, number> = { minute: 60, hour: 3600, day: 86_400 };

export function naiveVerdict(
  file: string,
  label: string,
  allResults: readonly NaiveResult[],
  candidate: { readonly tag: string; readonly digest: string },
  now: number,
): 'promote' | 'wait' | 'reject' {
  const read: NaiveCriteria | readonly string[] = JSON.parse(file)[label];
  // "RDO's plain form is read as `required`."
  const criteria: NaiveCriteria = 'length' in read ? { required: read } : read;
  const waived = (criteria.waivers ?? []).map(({ job }) => job);

  // "Each job in `required` is a requirement by itself, and so is each group of `any-of`."
  const everyRequirement = [...(criteria.required ?? []).map((job) => [job]), ...(criteria['any-of'] ?? [])];
  // "A requirement whose jobs are all waived is left out."
  const requirements = everyRequirement.filter((jobs) => jobs.some((job) => !waived.includes(job)));

  const isJobNamed = (result: NaiveResult) => everyRequirement.some((jobs) => jobs.includes(result.job));
  const isOnCandidate = ({ candidate: on }: NaiveResult) => {
    if (on?.tag !== candidate.tag) return false;
    if (on.digest === undefined) return criteria['bare-tags'] === true;
    return on.digest === candidate.digest;
  };
  const isTrusted = ({ source, user }: NaiveResult) =>
    source !== 'dlrn' || criteria['trusted-users'] === undefined || criteria['trusted-users'].includes(user ?? '');
  const isTimePossible = ({ timestamp }: NaiveResult) => timestamp >= 0 && timestamp <= now + 5 * 60;

  const counting = allResults.filter(
    (result) => isJobNamed(result) && isOnCandidate(result) && isTrusted(result) && isTimePossible(result),
  );

  // "a vote that names no tag at all: no notes, text that is no tag, or one word without a digit"
  const namesNoTag = ({ candidate: on }: NaiveResult) =>
    on === undefined || (on.digest === undefined && on.tag !== candidate.tag && /^[^0-9]*$/.test(on.tag));
  const saysNotWhich = (result: NaiveResult) => {
    const on = result.candidate;
    if (on !== undefined && on.tag === candidate.tag && on.digest === undefined) return criteria['bare-tags'] !== true;
    if (!namesNoTag(result)) return false;
    if (result.source !== 'dlrn') return true;
    return counting.some((vote) => vote.job === result.job && vote['aggregate-hash'] === result['aggregate-hash']);
  };
  const failures = allResults.filter(
    (result) => result.outcome === 'failure' && isJobNamed(result) && isTrusted(result),
  );
  const unproven = failures.filter((result) => saysNotWhich(result) && isTimePossible(result));
  const undated = failures.filter(
    (result) => (isOnCandidate(result) || saysNotWhich(result)) && !isTimePossible(result),
  );

  // "Of equal times a failure is newer than a running job, and a running job is newer than a pass. Of passes at equal
  // times, one whose age is not known is newer than one whose age is known."
  const newness = ({ outcome, 'age-unknown': unknown }: NaiveResult) =>
    ({ success: unknown ? 1.5 : 1, running: 2, failure: 3 })[outcome];
  const newestOf = (results: readonly NaiveResult[]) => {
    let newest: NaiveResult | undefined;
    for (const result of results) {
      if (
        newest === undefined ||
        result.timestamp > newest.timestamp ||
        (result.timestamp === newest.timestamp && newness(result) > newness(newest))
      ) {
        newest = result;
      }
    }
    return newest;
  };
  const countingOf = (job: string) => counting.filter((result) => result.job === job);

  // "Results without an aggregate hash share one hash of their own. With `across-hashes`, all results do."
  const hashOf = (result: NaiveResult) =>
    criteria['across-hashes'] === true ? 'all' : (result['aggregate-hash'] ?? 'without');

  const isMet = (job: string, hash: string) => {
    const results = countingOf(job);
    if (newestOf(results)?.outcome === 'failure') return false;
    if (undated.some((failure) => failure.job === job)) return false;
    const passes = results.filter(({ outcome }) => outcome === 'success');
    for (const failure of unproven.filter((one) => one.job === job)) {
      if (!passes.some(({ timestamp }) => timestamp > failure.timestamp)) return false;
    }
    if (results.length === 0) return false;
    if (newestOf(results.filter(({ outcome }) => outcome !== 'running'))?.outcome === 'failure') return false;
    const here = newestOf(results.filter((result) => hashOf(result) === hash));
    if (here?.outcome !== 'success') return false;
    const maxAge = criteria['max-age'];
    if (maxAge === undefined) return true;
    const [amount, unit = ''] = maxAge.split(' ');
    const seconds = Number(amount) * (UNITS[unit.replace(/s$/, '')] ?? Number.NaN);
    return here['age-unknown'] !== true && now - here.timestamp <= seconds;
  };

  const isRed = (jobs: readonly string[]) =>
    jobs.every((job) => {
      const outcome = newestOf(countingOf(job))?.outcome;
      return waived.includes(job) ? outcome !== 'success' : outcome === 'failure';
    });

  if (requirements.some(isRed)) return 'reject';
  const hashes = new Set(counting.map(hashOf));
  const isPromoted = [...hashes].some((hash) => requirements.every((jobs) => jobs.some((job) => isMet(job, hash))));
  return isPromoted ? 'promote' : 'wait';
}
