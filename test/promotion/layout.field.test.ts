import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { verifyLedger } from '../../src/ledger/verify.js';
import { httpReader } from '../../src/store/http-reader.js';
import { ledgerOf } from '../../src/store/reader.js';
import { http } from '../store/fixture.js';
import { checkLayout, operate, operations, TAGS } from './operations.js';
import { CURRENT, freshScene, ledger, open, publish, seen } from './support.js';

/** On SFTP; on-git.field.test.ts has the same for a branch. */

const OPERATIONS = 100;

test(`the layout of RDO's image server holds after ${OPERATIONS} operations of any kind`, async () => {
  await fc.assert(
    fc.asyncProperty(operations(OPERATIONS), async (all) => {
      const scene = await freshScene();
      const { path, url } = scene.directory;
      const candidates = await Promise.all(TAGS.map((name) => publish(scene, name)));
      const opened = await open(scene);
      for (const one of all) {
        await operate(scene, opened, candidates, one);
        checkLayout(path);
      }
      await opened.close();
      const current = ledger(scene).at(-1)?.candidate;
      expect(ledger(scene).length).toBeGreaterThan(5);
      expect(await seen(scene)).toMatchObject({ label: current?.tag, moving: current?.digest });
      expect(await (await fetch(`${url}/${CURRENT}`)).text()).toBe(current?.tag);
      const reader = ledgerOf(httpReader(http, new URL(url)), CURRENT);
      expect((await verifyLedger(reader, { label: CURRENT })).problem).toBeUndefined();
    }),
    { numRuns: 1, endOnFailure: true },
  );
});
