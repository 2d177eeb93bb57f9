import type { BranchModel, DashboardModel } from './model.js';
import { durationWords, seconds } from './words.js';

const COLORS: Readonly<Record<BranchModel['state'], string>> = {
  broken: 'red',
  silent: 'red',
  late: 'orange',
  empty: 'lightgrey',
  ok: 'brightgreen',
};

/** Worst first. */
const SEVERITY = Object.keys(COLORS);

/** A badge in the form of shields.io/badges/endpoint-badge: each branch with its age, in the colour of the worst. */
export function renderBadge(model: DashboardModel): string {
  const now = seconds(model['generated-at']);
  const [worst] = model.branches.map(({ state }) => state).sort((a, b) => SEVERITY.indexOf(a) - SEVERITY.indexOf(b));
  const messages = model.branches.map(({ branch, state, ...rest }) => {
    const success = rest['last-success'];
    if (state === 'broken' || state === 'silent' || success === null) return `${branch} ${state}`;
    return `${branch} ${durationWords(now - seconds(success))}`;
  });
  const badge = {
    schemaVersion: 1,
    label: model.label,
    message: messages.join(', '),
    color: worst === undefined ? COLORS.empty : COLORS[worst],
    isError: worst === 'broken' || worst === 'silent',
  };
  return `${JSON.stringify(badge, undefined, 2)}\n`;
}
