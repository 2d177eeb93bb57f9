import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CEPH_DAEMON, cephDaemonImage, cephDaemonTags } from '../sandbox/ceph-daemon.js';
import { freshRepository, sandbox } from '../sandbox/current.js';
import { startFaultProxy } from '../sandbox/fault-proxy.js';
import { buildMultiPlatform, pushImage } from '../sandbox/images.js';
import { runDirectory, type Stoppable } from '../sandbox/process.js';
import { type QuayLike, startQuayLike } from '../sandbox/quay-like.js';
import { manyTags } from '../sandbox/tag-listings.js';
import { runBundle } from './bundle.js';

const NEWEST = 'v6.0.7-stable-6.0-pacific-centos-stream8';
const START = 1_650_000_000;

const stops: Stoppable[] = [];
function keep<S extends Stoppable>(one: S): S {
  stops.push(one);
  return one;
}

let directory: Awaited<ReturnType<typeof runDirectory>>;
beforeAll(async () => {
  directory = keep(await runDirectory());
});
afterAll(async () => {
  for (const one of stops.reverse()) await one.stop();
});

describe('what it says', () => {
  let quay: QuayLike;
  const miss = 'v6.0.8-stable-6.0-pacific-centos-stream8.sig';
  const alias = 'v6.0.7-stable-6.0-pacific-centos-stream8-same';

  beforeAll(async () => {
    const names = [...cephDaemonTags, miss];
    const rows = names.map((name, n) => ({ name, image: cephDaemonImage(name), start: START + n }));
    rows.push({ name: alias, image: cephDaemonImage(NEWEST), start: START });
    quay = keep(await startQuayLike({ repository: CEPH_DAEMON, rows, tokens: true }));
  });

  test('of a choice, in the log and in the summary', async () => {
    const run = await runBundle('find-stable-tag', { image: quay.image, flavor: 'pacific' });
    expect(run).toMatchObject({ status: 0, errors: [] });
    const { digest } = cephDaemonImage(NEWEST);
    expect(run.outputs).toEqual({
      reference: `${quay.image}:${NEWEST}@${digest}`,
      image: quay.image,
      tag: NEWEST,
      digest,
      version: '6.0.7',
      flavor: 'pacific',
      aliases: alias,
      set: `${quay.image}:${NEWEST}@${digest}`,
      'set-digest': '',
      'tags-read': '362',
    });
    for (const text of [run.log, run.summary]) {
      expect(text).toContain(`\`${quay.image}:${NEWEST}@${digest}\``);
      expect(text).toContain(`- chose \`${NEWEST}\`: version 6.0.7, pacific, centos-stream8, set 2022-`);
      expect(text).toContain(`- the same image: \`${alias}\``);
      expect(text).toContain('- 362 tags read: 322 stable, 2 near-miss, 28 prerelease, 10 unreleased');
      expect(text).toContain(`- \`${miss}\` looks newer, but does not parse`);
      expect(text).toContain(`- runner-up \`${NEWEST}-x86_64\`: for x86_64 alone`);
      expect(text).toContain('- passed over: 82 of flavor luminous (');
    }
  });

  test('of nothing to choose', async () => {
    const run = await runBundle('find-stable-tag', { image: quay.image, flavor: 'reef' });
    expect(run).toMatchObject({ status: 1, outputs: {} });
    expect(run.errors).toEqual([expect.stringContaining('no stable tag of flavor reef; there is: 82 of flavor')]);
    expect(run.log).toContain(`${miss} looks newer, but does not parse`);
  });
});

describe('the memory for 20,000 tags is less than 120 MB', () => {
  const TAGS = manyTags(20_000, 1000);
  const newest = 'v6.0.499-stable-6.0-pacific-centos-stream8';
  const image = buildMultiPlatform();

  /** The most that the process held at any time, in MB: Linux resets it when the program starts, unlike ru_maxrss. */
  async function peakOf(inputs: Readonly<Record<string, string>>): Promise<number> {
    const [hook, result] = [join(directory.path, 'peak.cjs'), join(directory.path, 'peak')];
    await writeFile(
      hook,
      `const fs = require('node:fs');
       process.on('exit', () => fs.writeFileSync(${JSON.stringify(result)}, fs.readFileSync('/proc/self/status')));`,
    );
    const run = await runBundle('find-stable-tag', inputs, { NODE_OPTIONS: `--require=${hook}` });
    expect(run.errors).toEqual([]);
    expect(run.outputs).toMatchObject({ tag: newest, digest: image.digest, 'tags-read': '20000' });
    return Number(/^VmHWM:\s*(\d+) kB/m.exec(await readFile(result, 'utf8'))?.[1]) * 1.024e-3;
  }

  test('in one answer of a distribution registry', async () => {
    const { source } = sandbox();
    const repository = freshRepository();
    await pushImage({ url: source.url, repository }, image, [newest]);
    // In the place of the registry's own: writing so many tags takes it minutes.
    const body = JSON.stringify({ name: repository, tags: [...TAGS].sort() });
    const rules = [{ path: /tags\/list/, fault: { kind: 'answer', status: 200, body } }] as const;
    const front = keep(await startFaultProxy({ upstream: source.url, rules }));
    expect(
      await peakOf({ scheme: 'ceph-daemon', image: `${front.host}/${repository}`, flavor: 'pacific' }),
    ).toBeLessThan(120);
  });

  test('in 200 pages of Quay', async () => {
    const rows = TAGS.map((name, n) => ({ name, image, start: START + n }));
    const quay = keep(await startQuayLike({ repository: CEPH_DAEMON, rows }));
    // Which cannot filter.
    const path = (asked: string) => asked.replace(/&filter_tag_name=[^&]*/, '');
    const front = keep(await startFaultProxy({ upstream: quay.url, path }));
    const inputs = { scheme: 'ceph-daemon', image: `${front.host}/${CEPH_DAEMON}`, flavor: 'pacific', listing: 'quay' };
    expect(await peakOf(inputs)).toBeLessThan(120);
    expect(front.requests).toHaveLength(201);
  });
});
