import {
  BigValueColorMode,
  BigValueTextMode,
  GraphDrawStyle,
  LineInterpolation,
  ReduceDataOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardBuilder,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatPanel } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimeSeriesPanel } from '@grafana/grafana-foundation-sdk/timeseries';

/** A dashboard for a Grafana whose Prometheus scrapes metrics.prom. */

const BRANCHES = '{branch=~"$branch"}';

function query(expression: string, legend: string, refId = 'A') {
  return new DataqueryBuilder().refId(refId).expr(expression).legendFormat(legend);
}

/** The current values only: over a range, a stat would show every tag that there was. */
function queryNow(expression: string, legend: string) {
  return query(expression, legend).instant();
}

/** A value that is green below its limits. */
function limits(warning: number, bad: number) {
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps([
    { value: null, color: 'green' },
    { value: warning, color: 'orange' },
    { value: bad, color: 'red' },
  ]);
}

function stat(title: string, description: string, unit: string) {
  return new StatPanel()
    .title(title)
    .description(description)
    .datasource({ type: 'prometheus', uid: '${datasource}' })
    .unit(unit)
    .height(5)
    .span(8)
    .colorMode(BigValueColorMode.Background)
    .textMode(BigValueTextMode.ValueAndName)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']));
}

function curve(title: string, description: string, unit: string) {
  return new TimeSeriesPanel()
    .title(title)
    .description(description)
    .datasource({ type: 'prometheus', uid: '${datasource}' })
    .unit(unit)
    .min(0)
    .height(8)
    .span(12)
    .drawStyle(GraphDrawStyle.Line)
    .lineInterpolation(LineInterpolation.StepAfter);
}

function dashboard() {
  return new DashboardBuilder('Ceph promotions')
    .uid('ceph-promotion')
    .description(
      'What is promoted, whether it is healthy, what blocks promotions, and how long they take: the metrics of publish-dashboard',
    )
    .tags(['ceph', 'promotion'])
    .timezone('utc')
    .time({ from: 'now-90d', to: 'now' })
    .refresh('5m')
    .withVariable(new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'))
    .withVariable(
      new QueryVariableBuilder('branch')
        .label('Branch')
        .datasource({ type: 'prometheus', uid: '${datasource}' })
        .query('label_values(ceph_promotion_up, branch)')
        .refresh(VariableRefresh.OnTimeRangeChanged)
        .multi(true)
        .includeAll(true)
        .allValue('.*'),
    )
    .withPanel(
      stat(
        'Age, as a share of its target',
        'Age of the newest promotion that is not a rollback. Above 100 % it is late.',
        'percentunit',
      )
        .thresholds(limits(0.7, 1))
        .withTarget(
          queryNow(
            `(time() - ceph_promotion_last_success_timestamp_seconds${BRANCHES}) / ceph_promotion_age_target_seconds${BRANCHES}`,
            '{{branch}}',
          ),
        ),
    )
    .withPanel(
      stat(
        'Since the last run',
        'How long ago the pipeline came to a decision. It keeps rising if a schedule has stopped.',
        's',
      )
        .thresholds(limits(3 * 86400, 4 * 86400))
        .withTarget(queryNow(`time() - ceph_promotion_last_run_timestamp_seconds${BRANCHES}`, '{{branch}}')),
    )
    .withPanel(
      stat('Ledger', '1: it can be read and trusted.', 'none')
        .thresholds(
          new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps([
            { value: null, color: 'red' },
            { value: 1, color: 'green' },
          ]),
        )
        .withTarget(queryNow(`ceph_promotion_up${BRANCHES}`, '{{branch}}')),
    )
    .withPanel(
      stat('Health', 'What is promoted, by its own evidence and not by its age: 1 if it has regressed.', 'none')
        .span(12)
        .thresholds(limits(1, 1))
        .withTarget(queryNow(`ceph_promotion_regressed${BRANCHES}`, '{{branch}}')),
    )
    .withPanel(
      stat(
        'Failed since it was promoted',
        'For how long a job that passed when the image was promoted has failed.',
        's',
      )
        .span(12)
        .withTarget(
          queryNow(`time() - ceph_promotion_regressed_since_timestamp_seconds${BRANCHES}`, '{{branch}}: {{job_name}}'),
        ),
    )
    .withPanel(
      stat('Promoted', 'What is promoted on each branch.', 'none')
        .span(12)
        .textMode(BigValueTextMode.Name)
        .colorMode(BigValueColorMode.None)
        .withTarget(queryNow(`ceph_promotion_current${BRANCHES}`, '{{branch}}: {{tag}} ({{kind}})')),
    )
    .withPanel(
      stat('Jobs of the last decision', 'Each job with its state: met, unmet, unknown or waived.', 'none')
        .span(12)
        .textMode(BigValueTextMode.Name)
        .colorMode(BigValueColorMode.None)
        .withTarget(queryNow(`ceph_promotion_job_state${BRANCHES}`, '{{job_name}}: {{state}}')),
    )
    .withPanel(
      curve('Age of what is promoted', 'Each promotion sets it back to zero.', 's')
        .withTarget(query(`time() - ceph_promotion_last_success_timestamp_seconds${BRANCHES}`, '{{branch}}'))
        .withTarget(query(`max(ceph_promotion_age_target_seconds${BRANCHES})`, 'target', 'B')),
    )
    .withPanel(
      curve('Lead time', 'From finding a candidate to its promotion.', 's')
        .withTarget(query(`ceph_promotion_lead_time_median_seconds${BRANCHES}`, '{{branch}} p50'))
        .withTarget(query(`ceph_promotion_lead_time_p90_seconds${BRANCHES}`, '{{branch}} p90', 'B')),
    )
    .withPanel(
      curve('Age of the candidate under test', 'Empty if the candidate is promoted.', 's').withTarget(
        query(`time() - ceph_promotion_candidate_found_timestamp_seconds${BRANCHES}`, '{{branch}}'),
      ),
    )
    .withPanel(
      curve('Blocked', '1: the last decision blocks its candidate.', 'none').withTarget(
        query(`ceph_promotion_blocked${BRANCHES}`, '{{branch}}: {{decision}}'),
      ),
    )
    .withPanel(
      curve('Ledger records by kind', 'Among the newest 1000.', 'none').withTarget(
        query(`ceph_promotion_ledger_records${BRANCHES}`, '{{branch}} {{kind}}'),
      ),
    )
    .withPanel(
      curve('Holds and quarantine', 'How many images must not be promoted.', 'none')
        .withTarget(query(`ceph_promotion_holds${BRANCHES}`, '{{branch}} on hold'))
        .withTarget(query(`ceph_promotion_quarantined${BRANCHES}`, '{{branch}} quarantined', 'B')),
    )
    .withPanel(
      curve('How often jobs pass', 'Share of the recorded results.', 'percentunit')
        .max(1)
        .withTarget(query(`ceph_promotion_job_pass_ratio${BRANCHES}`, '{{job_name}}')),
    )
    .withPanel(
      curve('How often jobs are flaky', 'They failed first and passed later on the same image.', 'percentunit')
        .max(1)
        .withTarget(query(`ceph_promotion_job_flake_ratio${BRANCHES}`, '{{job_name}}')),
    )
    .withPanel(
      curve('Time until waivers end', 'Below zero, the job must pass again.', 's').withTarget(
        query(`ceph_promotion_waiver_end_timestamp_seconds${BRANCHES} - time()`, '{{branch}} {{job_name}}'),
      ),
    )
    .withPanel(
      curve('Nightly builds', '1: the newest build with a result passed.', 'none')
        .max(1)
        .withTarget(query('ceph_promotion_nightly_passed', '{{job_name}}')),
    )
    .withPanel(
      curve('What cannot be read', 'How long a source could not be read or trusted; empty if all can.', 's').withTarget(
        query(`time() - ceph_promotion_problem_since_timestamp_seconds${BRANCHES}`, '{{branch}}: {{source}}'),
      ),
    )
    .withPanel(
      curve('Age of these figures', 'How long ago publish-dashboard wrote them.', 's').withTarget(
        query('time() - ceph_promotion_dashboard_timestamp_seconds', 'age'),
      ),
    )
    .build();
}

export function grafanaDashboard(): ReadonlyMap<string, string> {
  return new Map([['examples/monitoring/grafana-dashboard.json', `${JSON.stringify(dashboard(), undefined, 2)}\n`]]);
}
