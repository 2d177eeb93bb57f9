import { expect, test } from '@jest/globals';
import * as v from 'valibot';
import { candidateSchema, formatRepository, repositorySchema } from '../../src/candidate/reference.js';
import { ledgerTargets, ownedRepositories, parseTargets, refuseSource } from '../../src/promotion/targets.js';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const COMPANION_DIGEST = `sha256:${'b'.repeat(64)}`;
const candidate = v.parse(candidateSchema, `quay.io/ceph/daemon:v1@${DIGEST}`);

test('a repository for the candidate, and companions with theirs', () => {
  const targets = parseTargets([
    'quay.example/t/daemon',
    'quay.io/prometheus/prometheus:v2.33.4 -> quay.example/t/prometheus',
  ]);
  expect(ownedRepositories(targets).map(formatRepository)).toEqual([
    'quay.example/t/daemon',
    'quay.example/t/prometheus',
  ]);
  const companion = v.parse(candidateSchema, `x.io/y:z@${COMPANION_DIGEST}`).digest;
  expect(ledgerTargets(targets, candidate, [companion])).toEqual([
    { repository: 'quay.example/t/daemon', tag: 'v1', digest: DIGEST, source: `quay.io/ceph/daemon:v1@${DIGEST}` },
    {
      repository: 'quay.example/t/prometheus',
      tag: 'v2.33.4',
      digest: COMPANION_DIGEST,
      source: `quay.io/prometheus/prometheus:v2.33.4@${COMPANION_DIGEST}`,
    },
  ]);
});

test.each([
  [[], 'names no repository for the candidate'],
  [['quay.io/a/b:v1 -> quay.io/c/b'], 'names no repository for the candidate'],
  [['daemon'], '"daemon" is neither a repository'],
  [['quay.io/t/daemon:v1'], 'is neither a repository'],
  [['quay.io/t/daemon', 'quay.io/a/b -> quay.io/c/b'], 'nor a companion'],
  [['quay.io/t/daemon', 'quay.io/a/b:v1 -> quay.io/c/b -> quay.io/d/b'], 'nor a companion'],
  [['quay.io/t/daemon', 'quay.io/t/daemon'], 'two lines end in the same repository quay.io/t/daemon'],
  [['quay.io/t/daemon', 'quay.io/a/x:v1 -> quay.io/t/daemon'], 'two lines end in the same repository'],
  [['-oProxyCommand=x/y'], 'is neither a repository'],
  [['quay.io/../etc'], 'is neither a repository'],
])('%j is refused', (lines, message) => {
  expect(() => parseTargets(lines)).toThrow(message);
});

test('a target is never the source', () => {
  const targets = parseTargets(['quay.io/ceph/daemon']);
  const source = v.parse(repositorySchema, 'quay.io/ceph/daemon');
  expect(() => refuseSource(targets, source)).toThrow('is the repository that the candidate comes from');
});
