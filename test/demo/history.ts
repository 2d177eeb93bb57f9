import { rm } from 'node:fs/promises';
import path from 'node:path';
import { runBundle } from '../e2e/bundle.js';
import { busyHistory, DAY } from '../monitoring/fixture.js';
import { layOut } from '../monitoring/lay-out.js';
import type { SandboxInfo } from '../sandbox/sandbox.js';

/**
 * Writes a made-up history of a few months to the image server, apart from what the demo's own runs promoted, and a
 * dashboard of it by the real action; returns the page's path below the image server's root.
 */
export async function showSandboxHistory({ imageServer: { root, web } }: SandboxInfo): Promise<string> {
  const directory = 'sandbox-data';
  await rm(path.join(root, directory), { recursive: true, force: true });
  const now = Math.floor(Date.now() / 1000);
  const histories = [busyHistory('master', 20, 6 * DAY, 1, now), busyHistory('wallaby', 20, 7 * DAY, 2, now)];
  for (const history of histories) await layOut(path.join(root, directory, history.branch), history);
  const { status, errors } = await runBundle('publish-dashboard', {
    title: 'Ceph promotions: sandbox data, none of this happened',
    branches: histories.map(({ branch }) => `${branch} ${web.url}/${directory}/${branch}`).join('\n'),
    output: path.join(root, directory, 'dashboard'),
  });
  if (status !== 0) throw new Error(`publish-dashboard ended with ${status}: ${errors.join('; ')}`);
  return `${directory}/dashboard/index.html`;
}
