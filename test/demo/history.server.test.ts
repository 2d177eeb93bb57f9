import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import * as v from 'valibot';
import { dashboardSchema } from '../../src/monitoring/model.js';
import { sandbox } from '../sandbox/current.js';
import { showSandboxHistory } from './history.js';

test('the page at the end of the demo has a history of months, and says that it is made up', async () => {
  const { root, web } = sandbox().imageServer;
  const page = await showSandboxHistory(sandbox());
  const html = await (await fetch(`${web.url}/${page}`)).text();
  expect(html).toContain('<h1><bdi>Ceph promotions: sandbox data, none of this happened</bdi></h1>');
  const data = path.join(root, path.dirname(page), 'data.json');
  const { branches } = v.parse(dashboardSchema, JSON.parse(await readFile(data, 'utf8')));
  for (const { state, problems, promotions } of branches) {
    expect([state, problems]).toEqual(['ok', []]);
    const [newest, oldest] = [promotions[0]?.when ?? '', promotions.at(-1)?.when ?? ''];
    expect(Date.parse(newest) - Date.parse(oldest)).toBeGreaterThan(90 * 86_400_000);
  }
});
