import { formatCandidate } from '../../src/candidate/reference.js';
import { decisionOf } from '../../src/ledger/record.js';
import type { DashboardModel } from '../../src/monitoring/model.js';
import type { BranchHistory } from '../../src/monitoring/read-branch.js';
import { summarize } from '../../src/monitoring/summarize.js';
import {
  busyHistory,
  DAY,
  emptyHistory,
  HOUR,
  jobsOf,
  lastDecision,
  NOW,
  nightlyJobs,
  result,
  SETTINGS,
} from './fixture.js';

/** Dashboards in typical states: for screenshots, and for what must be true of all of them. */

export interface Scene {
  readonly model: DashboardModel;
  readonly histories: readonly BranchHistory[];
}

const OWNER = 'Ceph CI, #rdo on OFTC';

/** Everything passes, nothing waits. */
export function healthyHistory(branch: string, seed = 1): BranchHistory {
  const history = busyHistory(branch, 20, 7 * DAY, seed);
  const [head] = history.records;
  if (head === undefined) throw new Error('no record');
  return {
    ...history,
    owner: OWNER,
    candidateTag: head.candidate.tag,
    lastDecision: lastDecision({ reference: formatCandidate(head.candidate), report: decisionOf(head) ?? null }),
  };
}

/** A job of the promoted image failed after the promotion. */
export function regressedHistory(branch: string): BranchHistory {
  const history = healthyHistory(branch);
  const [head] = history.records;
  const [, job = ''] = jobsOf(branch);
  if (head === undefined) throw new Error('no record');
  return {
    ...history,
    dlrn: 'https://dlrn.example/api',
    votes: [result(job, head.candidate, 'failure', NOW - 5 * HOUR)],
  };
}

/** A branch whose image server is down. */
function unreachableHistory(branch: string): BranchHistory {
  const why = 'GET https://images.example/ceph/daemon: connection refused';
  return emptyHistory(branch, { owner: OWNER, failures: [{ source: 'image server', why }] });
}

/** A branch whose pipeline stopped, and whose promotion is late. */
export function silentHistory(branch: string): BranchHistory {
  const history = busyHistory(branch, 20, 7 * DAY, 3, NOW - 20 * DAY);
  return { ...history, owner: OWNER };
}

export const SCENES: Readonly<Record<string, () => BranchHistory[]>> = {
  healthy: () => [healthyHistory('master'), healthyHistory('wallaby', 2)],
  regressed: () => [healthyHistory('wallaby', 2), regressedHistory('master')],
  broken: () => [unreachableHistory('master'), unreachableHistory('wallaby'), silentHistory('zed')],
  empty: () => [emptyHistory('master', { owner: OWNER })],
  thousand: () =>
    ['master', 'zed', 'yoga', 'xena', 'wallaby'].map((branch, index) => ({
      ...busyHistory(branch, 200, DAY, index),
      owner: OWNER,
    })),
};

const scenes = new Map<string, Scene>();

/** A scene. It is made once, since a thousand promotions take a while. */
export function sceneOf(name: string): Scene {
  const scene = scenes.get(name) ?? makeScene(name);
  scenes.set(name, scene);
  return scene;
}

function makeScene(name: string): Scene {
  const histories = SCENES[name]?.() ?? [];
  return { histories, model: summarize(histories, SETTINGS, NOW, name === 'empty' ? [] : nightlyJobs()) };
}
