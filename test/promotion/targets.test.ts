import { expect, test } from '@jest/globals';
import * as v from 'valibot';
import { candidateSchema, formatRepository, repositorySchema } from '../../src/candidate/reference.js';
import { labelSchema } from '../../src/ledger/names.js';
import { checkTargets, parseTargets } from '../../src/promotion/targets.js';
import { candidateTargets, targetRepositories } from '../../src/rules/targets.js';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const candidate = v.parse(candidateSchema, `quay.io/ceph/daemon:v1@${DIGEST}`);

test('a repository for the candidate, and one for each companion', () => {
  const targets = parseTargets([
    'quay.example/t/daemon',
    'quay.io/prometheus/prometheus:v2.33.4 -> quay.example/t/prometheus',
  ]);
  expect(targetRepositories(targets).map(formatRepository)).toEqual([
    'quay.example/t/daemon',
    'quay.example/t/prometheus',
  ]);
  expect(targets.companions.map(({ source }) => source.tag)).toEqual(['v2.33.4']);
  expect(candidateTargets(targets, candidate)).toEqual([
    { repository: { registry: 'quay.example', path: 't/daemon' }, tag: 'v1', digest: DIGEST, source: candidate },
  ]);
});

test.each([
  [[], 'there is no repository for the candidate'],
  [['quay.io/a/b:v1 -> quay.io/c/b'], 'there is no repository for the candidate'],
  [['daemon'], '"daemon" is neither a repository'],
  [['quay.io/t/daemon:v1'], 'is neither a repository'],
  [['quay.io/a/daemon,quay.io/b/daemon'], '; write one per line'],
  [['quay.io/t/daemon', 'quay.io/a/b -> quay.io/c/b'], 'nor a companion'],
  [['quay.io/t/daemon', 'quay.io/a/b:v1 -> quay.io/c/b -> quay.io/d/b'], 'nor a companion'],
  [['quay.io/t/daemon', 'quay.io/t/daemon'], 'two lines have the same target quay.io/t/daemon'],
  [['quay.io/t/daemon', 'quay.io:443/t/daemon'], 'two lines have the same target quay.io:443/t/daemon'],
  [['localhost:5000/d', '127.0.0.1:5000/d'], 'two lines have the same target 127.0.0.1:5000/d'],
  [['quay.io/t/daemon', 'QUAY.io/t/daemon'], 'two lines have the same target QUAY.io/t/daemon'],
  [['quay.io/t/daemon', 'quay.io/a/x:v1 -> quay.io/t/daemon'], 'two lines have the same target'],
  [['-oProxyCommand=x/y'], 'is neither a repository'],
  [['quay.io/../etc'], 'is neither a repository'],
])('%j is refused', (lines, message) => {
  expect(() => parseTargets(lines)).toThrow(message);
});

const SOURCE = v.parse(repositorySchema, 'quay.io/ceph/daemon');
const LABEL = v.parse(labelSchema, 'current-ceph');

test.each([
  [['quay.io/ceph/daemon'], 'is the repository that the candidate comes from'],
  [['quay.io:443/ceph/daemon'], 'is the repository that the candidate comes from'],
  [['Quay.io/ceph/daemon'], 'is the repository that the candidate comes from'],
  [['quay.io/t/daemon', 'quay.io/a/b:v1 -> quay.io/ceph/daemon'], 'is the repository that the candidate comes from'],
  [['quay.io/t/daemon', 'quay.io/a/b:current-ceph -> quay.io/t/b'], 'has the name of the moving tag'],
])('%j does not fit the promotion', (lines, message) => {
  expect(() => checkTargets(parseTargets(lines), SOURCE, LABEL)).toThrow(message);
});
