import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { archSchema } from '../../src/candidate/scheme.js';
import { schemes } from '../../src/candidate/schemes.js';
import { selectCandidate } from '../../src/candidate/selection.js';
import { projectRoot } from '../sandbox/project.js';
import { DAY, NOW, policy } from './policies.js';

const caseSchema = v.object({
  id: v.string(),
  why: v.string(),
  tags: v.array(v.string()),
  scheme: v.pipe(
    v.string(),
    v.transform((name) => schemes.find((one) => one.name === name)),
    v.nonOptional(v.any()),
  ),
  flavor: v.nullable(v.string()),
  arch: v.nullable(archSchema),
  distro: v.nullable(v.string()),
  expect: v.nullable(v.string()),
  exclude: v.optional(v.array(v.string()), []),
  'min-age-days': v.optional(v.number(), 0),
  'age-days': v.optional(v.record(v.string(), v.number()), {}),
});

const cases = v.parse(v.array(caseSchema), JSON.parse(readFileSync(`${projectRoot}/test/data/tag-cases.json`, 'utf8')));

describe('labelled cases, including choices that people made by hand', () => {
  test('there are 55', () => expect(cases).toHaveLength(55));

  test.each(cases.map((one) => [one.id, one.why, one] as const))('%s: %s', (_id, _why, one) => {
    const listing = one.tags.map((name) => {
      const age = one['age-days'][name];
      return { name, ...(age !== undefined && { startedAt: NOW - age * DAY }) };
    });
    const selection = selectCandidate(
      listing,
      policy({
        scheme: one.scheme,
        flavor: one.flavor ?? undefined,
        arch: one.arch ?? undefined,
        distro: one.distro ?? undefined,
        exclude: one.exclude,
        minimumAge: one['min-age-days'] * DAY,
      }),
    );
    expect(selection.kind === 'chosen' ? selection.chosen.tag : null).toBe(one.expect);
  });
});
