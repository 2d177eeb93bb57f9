import { expect, test } from '@jest/globals';
import { renderBadge } from '../../src/monitoring/badge.js';
import type { BranchHistory } from '../../src/monitoring/read-branch.js';
import { summarize } from '../../src/monitoring/summarize.js';
import { candidate, DAY, downHistory, emptyHistory, NOW, record, SETTINGS } from './fixture.js';
import { regressedHistory } from './scenes.js';

const promotedAgo = (branch: string, age: number) =>
  emptyHistory(branch, { records: [record([], candidate('v6.0.8-new'), NOW - age)] });

test.each<[string, BranchHistory[], string, string, boolean]>([
  ['on time', [promotedAgo('master', 2 * DAY)], 'master ok', 'brightgreen', false],
  ['late', [promotedAgo('master', 2 * DAY), promotedAgo('zed', 15 * DAY)], 'master ok, zed late', 'orange', false],
  ['empty', [promotedAgo('master', 2 * DAY), emptyHistory('zed')], 'master ok, zed empty', 'lightgrey', false],
  ['down', [downHistory(), promotedAgo('master', 15 * DAY)], 'zed broken, master late', 'red', true],
  ['regressed', [regressedHistory('master')], 'master regressed', 'red', true],
])('%s', (_, histories, message, color, isError) => {
  const badge = JSON.parse(renderBadge(summarize(histories, SETTINGS, NOW)));
  expect(badge).toEqual({ schemaVersion: 1, label: 'current-ceph', message, color, isError });
});
