import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { labelSchema } from '../../src/ledger/names.js';
import { type FileRights, findRightsProblems, type StoreRights } from '../../src/store/rights.js';

const [ROOT, PROMOTER, PUBLISHER, SOMEBODY] = [0, 1001, 1002, 1003];
const rights = (mode: number, owner: number): FileRights => ({ mode, owner });

/** As the how-to sets it up: a sticky directory of root's, a ledger of the promoter's, a label of each. */
const GOOD: StoreRights = {
  parents: new Map([
    ['/srv/images/ceph', rights(0o755, ROOT)],
    ['/srv/images', rights(0o755, ROOT)],
  ]),
  directory: rights(0o1775, ROOT),
  ledgers: rights(0o755, PROMOTER),
  ledger: rights(0o755, PROMOTER),
  records: new Map([['1.json', rights(0o644, PROMOTER)]]),
  promotedLabel: rights(0o777, PROMOTER),
  candidateLabel: rights(0o777, PUBLISHER),
};

const label = (name: string) => v.parse(labelSchema, name);

const problems = (changes: Partial<StoreRights>) =>
  findRightsProblems(
    { ...GOOD, ...changes },
    { where: 'sftp://u@h/d', promotedLabel: label('current-ceph'), candidateLabel: label('ceph-ci-testing') },
  ).map(({ severity, message }) => `${severity}: ${message}`);

describe('permissions that are right', () => {
  test.each<[string, Partial<StoreRights>]>([
    ['the two accounts of the how-to', {}],
    [
      'a directory that only the promoter may write, and no candidate label',
      { directory: rights(0o755, PROMOTER), candidateLabel: undefined },
    ],
    [
      'nothing published yet',
      { candidateLabel: undefined, promotedLabel: undefined, ledger: undefined, records: new Map() },
    ],
    ['a parent that is not to be seen', { parents: new Map() }],
    ['a parent like /tmp', { parents: new Map([['/tmp', rights(0o1777, ROOT)]]) }],
    ["a promoted label that the directory's owner made", { promotedLabel: rights(0o777, ROOT) }],
    ['a directory for the ledgers that root made', { ledgers: rights(0o755, ROOT) }],
  ])('%s', (_, changes) => expect(problems(changes)).toEqual([]));
});

describe('permissions that let somebody else promote', () => {
  test.each<[string, Partial<StoreRights>, RegExp]>([
    [
      'the group may write the directory',
      { directory: rights(0o775, ROOT) },
      /d: group or others may write it.* chmod \+t .*0775/,
    ],
    ['others may write the directory', { directory: rights(0o757, ROOT) }, /d: group or others may write it/],
    [
      'others may write a directory above it',
      { parents: new Map([...GOOD.parents, ['/srv', rights(0o777, ROOT)]]) },
      /d: group or others may write \/srv above it, and so replace it/,
    ],
    [
      "a directory above it is the publisher's",
      { parents: new Map([...GOOD.parents, ['/srv', rights(0o755, PUBLISHER)]]) },
      /d: \/srv above it belongs to the account that publishes ceph-ci-testing \(uid 1002\)/,
    ],
    [
      'the publisher made ledger/ for all',
      { ledgers: rights(0o777, PUBLISHER), ledger: undefined, records: new Map(), promotedLabel: undefined },
      /d\/ledger: group or others may write it/,
    ],
    [
      'the group may write ledger/, and the sticky bit changes nothing',
      { ledgers: rights(0o1775, PROMOTER) },
      /d\/ledger: group/,
    ],
    ['the group may write the ledger', { ledger: rights(0o775, PROMOTER) }, /d\/ledger\/current-ceph: group/],
    [
      'others may write a record',
      { records: new Map([['7.json', rights(0o666, PROMOTER)]]) },
      /current-ceph\/7\.json: group/,
    ],
    [
      "the directory is the publisher's",
      { directory: rights(0o1775, PUBLISHER) },
      /d: belongs to the account that publishes/,
    ],
    [
      "ledger/ is the publisher's",
      { ledgers: rights(0o755, PUBLISHER) },
      /d\/ledger: belongs to the account that publishes/,
    ],
    [
      "the promoted label is the publisher's",
      { promotedLabel: rights(0o777, PUBLISHER) },
      /current-ceph: belongs to a different account \(uid 1002\)/,
    ],
    [
      "a record is somebody's",
      { records: new Map([['2.json', rights(0o644, SOMEBODY)]]) },
      /2\.json: belongs to a different account \(uid 1003\)/,
    ],
  ])('%s', (_, changes, why) => {
    const found = problems(changes);
    expect(found.filter((line) => line.startsWith('unsafe: '))).toEqual([expect.stringMatching(why)]);
  });
});

describe('permissions that only cause a warning', () => {
  test.each<[string, Partial<StoreRights>, RegExp]>([
    ['one account for both roles', { candidateLabel: rights(0o777, PROMOTER) }, /one account \(uid 1001\) publishes/],
    [
      'one account for both roles, before the first promotion',
      {
        directory: rights(0o755, PUBLISHER),
        ledgers: undefined,
        ledger: undefined,
        records: new Map(),
        promotedLabel: undefined,
      },
      /one account \(uid 1002\) publishes/,
    ],
    [
      'no ledger/ where the group may make it',
      { ledgers: undefined, ledger: undefined, records: new Map(), promotedLabel: undefined },
      /ledger\/ is not there yet/,
    ],
  ])('%s', (_, changes, why) => {
    expect(problems(changes)).toEqual([expect.stringMatching(why)]);
    expect(problems(changes)[0]).toMatch(/^warning: /);
  });
});
