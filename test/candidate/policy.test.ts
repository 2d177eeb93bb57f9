import { expect, test } from '@jest/globals';
import { tryParse } from '../../src/base/schema.js';
import { distroSchema, flavorSchema } from '../../src/candidate/policy.js';

test.each(['pacific', 'tentacle'])('%s is a flavor', (text) => {
  expect(tryParse(flavorSchema, text)).toEqual({ value: text });
});

test.each(['Pacific', '16.2', 'v16', 'pacific quincy', 'pacific\n', '', 'null-'])('%j is not a flavor', (text) => {
  const problem = expect.stringContaining('is not a flavor: a name such as pacific, or a major version such as 16');
  expect(tryParse(flavorSchema, text)).toEqual({ problem });
});

test.each(['centos', 'centos-8', 'centos-stream9', 'ubuntu-16.04'])('%s is a distro', (text) => {
  expect(tryParse(distroSchema, text)).toEqual({ value: text });
});

test.each(['centos-', 'centos9', 'centos-stream', 'CentOS', '-8', 'centos 8', 'centos-8\n', ''])(
  '%j is not a distro',
  (text) => {
    expect(tryParse(distroSchema, text)).toHaveProperty('problem');
  },
);
