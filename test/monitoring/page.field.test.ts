import { expect, test } from '@jest/globals';
import { renderFiles } from '../../src/monitoring/dashboard.js';
import { summarize } from '../../src/monitoring/summarize.js';
import { busyHistory, DAY, NOW, SETTINGS } from './fixture.js';

test('no file of five branches of a thousand promotions each has more than 1 MB', () => {
  const history = busyHistory('master', 1000, DAY);
  const histories = ['master', 'zed', 'yoga', 'xena', 'wallaby'].map((branch) => ({ ...history, branch }));
  const files = renderFiles(summarize(histories, SETTINGS, NOW), histories);
  expect(files.size).toBeGreaterThan(100);
  expect([...files].filter(([, text]) => Buffer.byteLength(text) >= 1_000_000).map(([name]) => name)).toEqual([]);
});
