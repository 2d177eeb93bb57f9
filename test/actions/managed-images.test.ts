import { expect, test } from '@jest/globals';
import * as v from 'valibot';
import { excludeList, releaseSchema } from '../../src/actions/shared/managed-images.js';
import { targetsSchema } from '../../src/actions/shared/targets-input.js';

const release = v.parse(releaseSchema, 'master centos9');

test('names are base names, each once, as RDO reads them', () => {
  const targets = v.parse(
    targetsSchema,
    [
      'quay.example/tripleomastercentos9/daemon',
      'quay.example/mirror/daemon',
      'quay.io/prometheus/alertmanager:v0.23.0 -> quay.example/tripleomastercentos9/alertmanager',
    ].join('\n'),
  );
  expect(excludeList(targets, release)).toBe(
    [
      '# What ceph-promotion-actions promotes. Each run writes this file.',
      'exclude_containers:',
      '  master:',
      '    centos9:',
      '      - alertmanager',
      '      - daemon',
      '',
    ].join('\n'),
  );
});

test.each(['master', 'master centos 9', 'master: centos9', 'master\ncentos9', '../x centos9/'])(
  '%j is no release and distro',
  (text) => {
    expect(v.safeParse(releaseSchema, text).success).toBe(false);
  },
);
