import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { labelSchema } from '../../src/ledger/names.js';
import {
  formatStatement,
  isOfClaim,
  PROMOTION_TYPE,
  parseStatement,
  readPromotion,
  type Statement,
  SUMMARY_TYPE,
  summaryPredicateSchema,
  typesOf,
} from '../../src/proof/statement.js';
import { chainOf, digestOf, SOURCE } from '../ledger/fixture.js';
import { claimOf, VERIFIER } from './fixture.js';

const LEDGER = chainOf([['v1'], ['v2']]);
const CLAIM = claimOf(LEDGER);
const RECORD = LEDGER[1] as Buffer;

function statementOf(type = PROMOTION_TYPE): Statement {
  const parsed = parseStatement(formatStatement(CLAIM, type, RECORD, VERIFIER));
  if (parsed === undefined) throw new Error('no statement');
  return parsed;
}

describe('which statements a record makes', () => {
  test.each([
    ['earned', [PROMOTION_TYPE, SUMMARY_TYPE]],
    ['forced', [PROMOTION_TYPE]],
    ['rollback', [PROMOTION_TYPE]],
    ['adopted', [PROMOTION_TYPE]],
    ['hold', [PROMOTION_TYPE]],
    ['quarantine', [PROMOTION_TYPE]],
  ] as const)('%s', (kind, types) => {
    expect(typesOf(claimOf(chainOf([['v1', { kind }]])))).toEqual(types);
  });

  test('a companion has no summary: jobs tested the candidate', () => {
    expect(typesOf({ ...CLAIM, digest: digestOf('companion') })).toEqual([PROMOTION_TYPE]);
  });
});

test('a summary names the workflow, the criteria and the decision', () => {
  const { predicate } = statementOf(SUMMARY_TYPE);
  const summary = v.parse(summaryPredicateSchema, predicate);
  expect(summary).toMatchObject({
    verifier: { id: VERIFIER },
    policy: { uri: 'ledger/current-ceph/2.json#/decision/criteria/content' },
    verificationResult: 'PASSED',
    timeVerified: CLAIM.record.when,
  });
  expect(summary.resourceUri).toContain(encodeURIComponent(CLAIM.digest));
});

test('a promotion has the whole record, byte for byte', () => {
  expect(readPromotion(statementOf(), CLAIM)).toMatchObject({ n: 2, sha256: CLAIM.position.sha256 });
});

describe('a promotion is refused if', () => {
  const changed = (predicate: object): Statement => ({
    ...statementOf(),
    predicate: { ...(statementOf().predicate as object), ...predicate },
  });
  const record = JSON.parse(RECORD.toString());
  test.each([
    ['it is about another image', statementOf(), { digest: digestOf('v1') }, /another image/],
    [
      'it is about another label',
      statementOf(),
      { label: v.parse(labelSchema, 'tripleo-ceph') },
      /about label current-ceph/,
    ],
    ['it is about another target', statementOf(), { target: SOURCE }, /about target/],
    ['it is of another type', statementOf(SUMMARY_TYPE), {}, /of type https:\/\/slsa/],
    ['it has another hash', changed({ sha256: 'f'.repeat(64) }), {}, /does not have the hash/],
    ['it has another number', changed({ n: 3 }), {}, /does not have the number and label/],
    ['its record was changed', changed({ record: { ...record, reason: 'none' } }), {}, /does not have the hash/],
    ['its record is no record', changed({ record: {} }), {}, /not a promotion/],
    ['it has more keys', changed({ more: 1 }), {}, /not a promotion/],
  ])('%s', (_, statement, other, said) => {
    const read = readPromotion(statement, { ...CLAIM, ...other });
    expect('problem' in read ? read.problem : 'accepted').toMatch(said);
  });

  test('its record 1 is of another ledger', () => {
    const first = claimOf(chainOf([['v1']]));
    const bytes = formatStatement(
      { ...first, position: { ...first.position, ledger: 'e'.repeat(64) } },
      PROMOTION_TYPE,
      chainOf([['v1']])[0] as Buffer,
      VERIFIER,
    );
    expect(readPromotion(parseStatement(bytes) as Statement, first)).toEqual({
      problem: 'its record is record 1 of another ledger',
    });
  });

  test('its record promotes another image than its subject', () => {
    const statement = { ...statementOf(), subject: [{ digest: { sha256: digestOf('evil').slice(7) } }] };
    expect(readPromotion(statement, { ...CLAIM, digest: digestOf('evil') })).toEqual({
      problem: 'its record does not promote this image to this target',
    });
  });
});

test.each([
  ['no JSON', '{'],
  ['another type', JSON.stringify({ ...statementOf(), _type: 'https://in-toto.io/Statement/v2' })],
  ['no subject', JSON.stringify({ ...statementOf(), subject: [] })],
  ['null', 'null'],
])('%s is no statement', (_, text) => {
  expect(parseStatement(Buffer.from(text))).toBeUndefined();
});

test('a statement is recognised only if it says what is claimed', () => {
  const earlier = claimOf(LEDGER.slice(0, 1));
  for (const type of [PROMOTION_TYPE, SUMMARY_TYPE]) {
    expect(isOfClaim(statementOf(type), CLAIM, type)).toBe(true);
    expect(isOfClaim(statementOf(type), earlier, type)).toBe(false);
  }
  expect(isOfClaim(statementOf(SUMMARY_TYPE), CLAIM, PROMOTION_TYPE)).toBe(false);
});
