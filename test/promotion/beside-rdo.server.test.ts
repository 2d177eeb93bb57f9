import { existsSync, readdirSync, readFileSync, readlinkSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { Candidate } from '../../src/candidate/reference.js';
import { sandbox } from '../sandbox/current.js';
import { pushImage } from '../sandbox/images.js';
import { basicAuthorization } from '../sandbox/registry.js';
import { checkLayout } from './operations.js';
import { CURRENT, freshScene, publish, run, type Scene, seen, tinyImage, type Wish } from './support.js';

/** Beside RDO's artifact_promoter, which writes the same directory. */

/**
 * What artifact_promoter does for a label, in its order: it looks for the file and writes one only if there is none,
 * with content only if it is given some; then it removes the label and links it again. If the link fails, it removes
 * the label again and links the old one. `between` runs where there is no label.
 */
async function promoteAsRdo(
  { directory: { path } }: Scene,
  name: string,
  { content = '', between }: { readonly content?: string; readonly between?: () => Promise<void> } = {},
): Promise<void> {
  if (!existsSync(join(path, name))) writeFileSync(join(path, name), content);
  const labelPath = join(path, CURRENT);
  const before = existsSync(labelPath) ? readlinkSync(labelPath) : undefined;
  if (before === name) return;
  if (before !== undefined) unlinkSync(labelPath);
  await between?.();
  try {
    symlinkSync(name, labelPath);
  } catch {
    unlinkSync(labelPath);
    if (before !== undefined) symlinkSync(before, labelPath);
  }
}

const adopt = (candidate: Candidate): Wish => ({
  request: { kind: 'adopt', image: candidate, reason: 'RDO promoted it' },
  candidate,
});

test.each(['', 'v1.0', 'v1.0.1'])(
  'what it left with the content %j is adopted, and has its tag in it',
  async (content) => {
    const scene = await freshScene();
    const { path, url } = scene.directory;
    const [first, second] = [await publish(scene, 'v1.0.1'), await publish(scene, 'v1.0.2')];
    await promoteAsRdo(scene, 'v1.0.1', { content });
    await run(scene, adopt(first));
    expect(await (await fetch(`${url}/${CURRENT}`)).text()).toBe('v1.0.1');
    // Another of its artifacts is there without content when we promote that tag.
    writeFileSync(join(path, 'v1.0.2'), '');
    await run(scene, { candidate: second });
    expect(await (await fetch(`${url}/${CURRENT}`)).text()).toBe('v1.0.2');
    checkLayout(path);
  },
);

test('what it left with other content is an error that says so, and stays', async () => {
  const scene = await freshScene();
  const { path } = scene.directory;
  const first = await publish(scene, 'v1.0.1');
  await promoteAsRdo(scene, 'v1.0.1', { content: 'of another format' });
  await expect(run(scene, adopt(first))).rejects.toThrow(/\/v1\.0\.1: is another file, not the artifact$/);
  expect(readFileSync(join(path, 'v1.0.1'), 'utf8')).toBe('of another format');
  expect(readdirSync(path).sort()).toEqual([CURRENT, 'v1.0.1']);
});

test('it can move a label of ours, and the next run makes the label name the head again', async () => {
  const scene = await freshScene();
  const candidates = [await publish(scene, 'v1.0.1'), await publish(scene, 'v1.0.2')];
  for (const candidate of candidates) await run(scene, { candidate });
  await promoteAsRdo(scene, 'v1.0.1');
  expect(await seen(scene)).toMatchObject({ label: 'v1.0.1' });
  await run(scene, { candidate: candidates[1] });
  expect(await seen(scene)).toMatchObject({ label: 'v1.0.2' });
  checkLayout(scene.directory.path);
});

test("a run of ours that finds no label while RDO's moves it still ends with the label on the head", async () => {
  const scene = await freshScene();
  const candidates = [await publish(scene, 'v1.0.1'), await publish(scene, 'v1.0.2')];
  const [first, second] = candidates;
  await run(scene, { candidate: first });
  await promoteAsRdo(scene, 'v1.0.3', {
    between: async () => {
      expect(await seen(scene)).toMatchObject({ label: undefined });
      expect(await run(scene, { candidate: second })).toMatchObject({ decision: 'promote' });
      expect(await seen(scene)).toMatchObject({ label: 'v1.0.2' });
    },
  });
  // It has put back what it found.
  expect(await seen(scene)).toMatchObject({ label: 'v1.0.1' });
  await run(scene, { candidate: second });
  expect(await seen(scene)).toMatchObject({ label: 'v1.0.2', previous: 'v1.0.1' });
});

test('if there is no ledger yet, a run that finds no label is still stopped by the moving tag', async () => {
  const scene = await freshScene();
  const first = await publish(scene, 'v1.0.1');
  const { url, login } = sandbox().target;
  await promoteAsRdo(scene, 'v1.0.1', {
    between: async () => {
      await pushImage(
        { url, repository: scene.targetRepository, authorization: basicAuthorization(login) },
        tinyImage('v1.0.1'),
        [CURRENT],
      );
      await expect(run(scene, { candidate: first })).rejects.toThrow(/has no ledger, but it was promoted: /);
    },
  });
  expect(await seen(scene)).toMatchObject({ label: 'v1.0.1' });
  expect(readdirSync(scene.directory.path).sort()).toEqual([CURRENT, 'v1.0.1']);
});
