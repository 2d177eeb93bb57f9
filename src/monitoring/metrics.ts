import type { BranchModel, DashboardModel, NightlyJob } from './model.js';
import { DAY, seconds } from './words.js';

/**
 * The figures in a text that is both OpenMetrics (github.com/prometheus/OpenMetrics, version 1.0) and Prometheus' own
 * format. All are gauges, since the two name counters differently. A job is `job_name`, since Prometheus sets `job`.
 */
export function renderMetrics(model: DashboardModel): string {
  const ofBranches = BRANCH_FAMILIES.map(({ name, help, samples }) =>
    family(
      { name, help },
      model.branches.flatMap((branch) =>
        samples(branch, model).map(
          ([labels, value]): Sample => [{ branch: branch.branch, label: model.label, ...labels }, value],
        ),
      ),
    ),
  );
  const ofNightlyJobs = NIGHTLY_FAMILIES.map(({ name, help, samples }) =>
    family(
      { name, help },
      model.nightly.flatMap((job) => samples(job).map((value): Sample => [{ job_name: job.job }, value])),
    ),
  );
  const written = family(
    { name: 'ceph_promotion_dashboard_timestamp_seconds', help: 'When these metrics were written.' },
    [[{}, seconds(model['generated-at'])]],
  );
  return `${[...written, ...ofBranches.flat(), ...ofNightlyJobs.flat(), '# EOF'].join('\n')}\n`;
}

function family({ name, help }: Pick<BranchFamily, 'name' | 'help'>, samples: readonly Sample[]): string[] {
  const lines = samples.map(([labels, value]) => {
    const pairs = Object.entries(labels).map(pair).join(',');
    return `${name}${pairs === '' ? '' : `{${pairs}}`} ${value}`;
  });
  const unit = /_(seconds|ratio)$/.exec(name)?.[1];
  const units = unit === undefined ? [] : [`# UNIT ${name} ${unit}`];
  return [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, ...units, ...lines];
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

interface BranchFamily {
  readonly name: string;
  readonly help: string;
  samples(branch: BranchModel, model: DashboardModel): readonly Sample[];
}

function plain(value: number | null): Sample[] {
  return value === null ? [] : [[{}, value]];
}

function moment(time: string | null): Sample[] {
  return plain(time === null ? null : seconds(time));
}

const BRANCH_FAMILIES: readonly BranchFamily[] = [
  {
    name: 'ceph_promotion_up',
    help: 'The ledger of the label and the last decision can be read and trusted: 1, otherwise 0.',
    samples: ({ state }) => plain(state === 'broken' ? 0 : 1),
  },
  {
    name: 'ceph_promotion_regressed',
    help: 'A job that passed when the image was promoted has failed since: 1, otherwise 0; absent if that is unknown.',
    samples: ({ health: { state } }) =>
      plain(state === 'unknown' || state === 'nothing' ? null : state === 'regressed' ? 1 : 0),
  },
  {
    name: 'ceph_promotion_regressed_since_timestamp_seconds',
    help: 'Since when a job that passed when the image was promoted has failed.',
    samples: ({ health: { state, jobs } }) =>
      jobs.flatMap(({ job, since }): Sample[] =>
        state !== 'regressed' || since === null ? [] : [[{ job_name: job }, seconds(since)]],
      ),
  },
  {
    name: 'ceph_promotion_health',
    help: 'The health of what is promoted, by its own evidence: passing, regressed, unproven, unknown or nothing.',
    samples: ({ health }) => [[{ health: health.state }, 1]],
  },
  {
    name: 'ceph_promotion_problems',
    help: 'How many sources could not be read or trusted.',
    samples: ({ problems }) => plain(problems.length),
  },
  {
    name: 'ceph_promotion_problem_since_timestamp_seconds',
    help: 'Since when a source could not be read or trusted; absent if it can.',
    samples: ({ problems }) => problems.map(({ source, since }): Sample => [{ source }, seconds(since)]),
  },
  {
    name: 'ceph_promotion_last_run_timestamp_seconds',
    help: 'When the pipeline last came to a decision.',
    samples: ({ heartbeat }) => moment(heartbeat),
  },
  {
    name: 'ceph_promotion_run_age_target_seconds',
    help: 'How old the last run may get.',
    samples: (_, model) => plain(model['heartbeat-age']),
  },
  {
    name: 'ceph_promotion_last_success_timestamp_seconds',
    help: 'When an image was last promoted, other than by a rollback.',
    samples: (branch) => moment(branch['last-success']),
  },
  {
    name: 'ceph_promotion_age_target_seconds',
    help: 'How old the last promotion may get.',
    samples: (_, model) => plain(model['target-age']),
  },
  {
    name: 'ceph_promotion_current',
    help: 'What is promoted: tag, digest, and how it was promoted.',
    samples: ({ current }) =>
      current === null ? [] : [[{ tag: current.tag, digest: current.digest, kind: current.kind }, 1]],
  },
  {
    name: 'ceph_promotion_current_timestamp_seconds',
    help: 'When what is promoted now was promoted.',
    samples: ({ current }) => moment(current?.when ?? null),
  },
  {
    name: 'ceph_promotion_candidate_found_timestamp_seconds',
    help: 'When the candidate under test was published; absent if it is promoted.',
    samples: ({ candidate }) => moment(candidate === null || candidate.promoted ? null : candidate.found),
  },
  {
    name: 'ceph_promotion_blocked',
    help: 'The last decision blocks its candidate: 1, otherwise 0.',
    samples: ({ decision }) => (decision === null ? [] : [[{ decision: decision.decision }, decision.blocked ? 1 : 0]]),
  },
  {
    name: 'ceph_promotion_job_state',
    help: 'The state of each job in the last decision: met, unmet, unknown or waived.',
    samples: ({ decision }) => decision?.jobs.map(({ job, state }): Sample => [{ job_name: job, state }, 1]) ?? [],
  },
  {
    name: 'ceph_promotion_ledger_head',
    help: 'The number of the newest ledger record.',
    samples: ({ head }) => plain(head),
  },
  {
    name: 'ceph_promotion_ledger_records',
    help: 'Records by kind, among the newest 1000 of the ledger.',
    samples: ({ figures }) => Object.entries(figures['by-kind']).map(([kind, count]): Sample => [{ kind }, count]),
  },
  {
    name: 'ceph_promotion_lead_time_median_seconds',
    help: 'Median time from found to earned, over the newest promotions.',
    samples: ({ figures }) => plain(figures['lead-time'].p50),
  },
  {
    name: 'ceph_promotion_lead_time_p90_seconds',
    help: '90th percentile of the time from found to earned, over the newest promotions.',
    samples: ({ figures }) => plain(figures['lead-time'].p90),
  },
  {
    name: 'ceph_promotion_job_pass_ratio',
    help: 'Share of the recorded results of a job that passed.',
    samples: (branch) =>
      branch['job-figures'].map(({ job, passed, results }): Sample => [{ job_name: job }, ratio(passed, results)]),
  },
  {
    name: 'ceph_promotion_job_flake_ratio',
    help: 'Share of the tries of a job that failed first and passed later on the same image and aggregate hash.',
    samples: (branch) =>
      branch['job-figures'].map(({ job, flaky, tries }): Sample => [{ job_name: job }, ratio(flaky, tries)]),
  },
  {
    name: 'ceph_promotion_holds',
    help: 'How many images are on hold; absent without a ledger.',
    samples: ({ head, holds }) => plain(head === null ? null : holds.length),
  },
  {
    name: 'ceph_promotion_quarantined',
    help: 'How many images are quarantined; absent without a ledger.',
    samples: ({ head, quarantine }) => plain(head === null ? null : quarantine.length),
  },
  {
    name: 'ceph_promotion_waiver_end_timestamp_seconds',
    help: 'When the waiver of a job ends.',
    samples: ({ waivers }) => waivers.map(({ job, until }): Sample => [{ job_name: job }, seconds(until) + DAY]),
  },
];

interface NightlyFamily {
  readonly name: string;
  readonly help: string;
  samples(job: NightlyJob): readonly number[];
}

const NIGHTLY_FAMILIES: readonly NightlyFamily[] = [
  {
    name: 'ceph_promotion_nightly_up',
    help: 'The builds of the nightly job can be read: 1, otherwise 0.',
    samples: ({ problem }) => [problem === null ? 1 : 0],
  },
  {
    name: 'ceph_promotion_nightly_last_build_timestamp_seconds',
    help: 'When the newest build of the nightly job ended; if it runs, when it began.',
    samples: ({ builds }) => builds.flatMap(({ when }) => (when === null ? [] : seconds(when))).slice(0, 1),
  },
  {
    name: 'ceph_promotion_nightly_passed',
    help: 'The newest build of the nightly job with a result passed: 1, otherwise 0.',
    samples: ({ builds }) => builds.flatMap(({ outcome }) => RESULTS[outcome] ?? []).slice(0, 1),
  },
];

const RESULTS: Partial<Record<NightlyJob['builds'][number]['outcome'], number>> = { success: 1, failure: 0 };

function ratio(part: number, of: number): number {
  return Math.round((1000 * part) / of) / 1000;
}

function pair([name, value]: readonly [string, string]): string {
  const escaped = value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return `${name}="${escaped}"`;
}
