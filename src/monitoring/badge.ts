import type { BranchModel, DashboardModel } from './model.js';

const COLORS: Readonly<Record<BranchModel['state'], string>> = {
  broken: 'red',
  regressed: 'red',
  silent: 'red',
  late: 'orange',
  empty: 'lightgrey',
  ok: 'brightgreen',
};

/** Worst first. */
const SEVERITY = Object.keys(COLORS);

/**
 * A badge in the form of shields.io/badges/endpoint-badge: the state of each branch, in the colour of the worst. It has
 * no ages, since it is read later than it is written.
 */
export function renderBadge(model: DashboardModel): string {
  const [worst] = model.branches.map(({ state }) => state).sort((a, b) => SEVERITY.indexOf(a) - SEVERITY.indexOf(b));
  const badge = {
    schemaVersion: 1,
    label: model.label,
    message: model.branches.map(({ branch, state }) => `${branch} ${state}`).join(', '),
    color: worst === undefined ? COLORS.empty : COLORS[worst],
    isError: worst !== undefined && COLORS[worst] === 'red',
  };
  return `${JSON.stringify(badge, undefined, 2)}\n`;
}
