import type { BranchModel, DashboardModel } from './model.js';
import { DAY, seconds } from './words.js';

/**
 * The figures in OpenMetrics text (github.com/prometheus/OpenMetrics, version 1.0), and in Prometheus' own text format
 * at the same time: all are gauges, as the two differ in how they name counters.
 */
export function renderMetrics(model: DashboardModel): string {
  const families = FAMILIES.map(({ name, help, samples }) => {
    const lines = model.branches.flatMap((branch) =>
      samples(branch, model).map(([labels, value]) => {
        const all = { branch: branch.branch, label: model.label, ...labels };
        return `${name}{${Object.entries(all).map(pair).join(',')}} ${value}`;
      }),
    );
    return [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, ...lines];
  });
  const written = 'ceph_promotion_dashboard_timestamp_seconds';
  return `${[
    `# HELP ${written} When these metrics were written.`,
    `# TYPE ${written} gauge`,
    `${written} ${seconds(model['generated-at'])}`,
    ...families.flat(),
    '# EOF',
  ].join('\n')}\n`;
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

interface Family {
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

const FAMILIES: readonly Family[] = [
  {
    name: 'ceph_promotion_up',
    help: 'Whether the ledger of the label can be read and trusted.',
    samples: ({ state }) => plain(state === 'broken' ? 0 : 1),
  },
  {
    name: 'ceph_promotion_problems',
    help: 'How many things could not be read or trusted.',
    samples: ({ problems }) => plain(problems.length),
  },
  {
    name: 'ceph_promotion_last_run_timestamp_seconds',
    help: 'When the pipeline last came to a decision.',
    samples: ({ heartbeat }) => moment(heartbeat),
  },
  {
    name: 'ceph_promotion_run_age_target_seconds',
    help: 'How long ago the last run may be.',
    samples: (_, model) => plain(model['heartbeat-age']),
  },
  {
    name: 'ceph_promotion_last_success_timestamp_seconds',
    help: 'When an image was last promoted; rollbacks do not count.',
    samples: (branch) => moment(branch['last-success']),
  },
  {
    name: 'ceph_promotion_age_target_seconds',
    help: 'How old the last promotion may be.',
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
    help: 'When the label came to what is promoted now.',
    samples: ({ current }) => moment(current?.when ?? null),
  },
  {
    name: 'ceph_promotion_candidate_found_timestamp_seconds',
    help: 'When the candidate under test was published; absent where it is what is promoted.',
    samples: ({ candidate }) => moment(candidate === null || candidate.promoted ? null : candidate.found),
  },
  {
    name: 'ceph_promotion_blocked',
    help: 'Whether the last decision keeps its candidate from promotion.',
    samples: ({ decision }) => (decision === null ? [] : [[{ decision: decision.decision }, decision.blocked ? 1 : 0]]),
  },
  {
    name: 'ceph_promotion_job_state',
    help: 'The state of each job in the last decision: met, unmet, unknown or waived.',
    samples: ({ decision }) => decision?.jobs.map(({ job, state }): Sample => [{ job, state }, 1]) ?? [],
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
    help: 'Ninetieth percentile of the time from found to earned, over the newest promotions.',
    samples: ({ figures }) => plain(figures['lead-time'].p90),
  },
  {
    name: 'ceph_promotion_job_pass_ratio',
    help: 'Share of the recorded results of a job that passed.',
    samples: (branch) =>
      branch['job-figures'].map(({ job, passed, results }): Sample => [{ job }, ratio(passed, results)]),
  },
  {
    name: 'ceph_promotion_job_flake_ratio',
    help: 'Share of the tries of a job that failed, and passed later on the same image and aggregate hash.',
    samples: (branch) => branch['job-figures'].map(({ job, flaky, tries }): Sample => [{ job }, ratio(flaky, tries)]),
  },
  {
    name: 'ceph_promotion_holds',
    help: 'How many images are on hold.',
    samples: ({ holds }) => plain(holds.length),
  },
  {
    name: 'ceph_promotion_quarantined',
    help: 'How many images are quarantined.',
    samples: ({ quarantine }) => plain(quarantine.length),
  },
  {
    name: 'ceph_promotion_waiver_end_timestamp_seconds',
    help: 'When the waiver of a job ends.',
    samples: ({ waivers }) => waivers.map(({ job, until }): Sample => [{ job }, seconds(until) + DAY]),
  },
];

function ratio(part: number, of: number): number {
  return Math.round((1000 * part) / of) / 1000;
}

function pair([name, value]: readonly [string, string]): string {
  const escaped = value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return `${name}="${escaped}"`;
}
