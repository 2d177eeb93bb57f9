import { expect, test } from '@jest/globals';
import * as v from 'valibot';
import { parse } from 'yaml';
import { excludeList, releaseSchema } from '../../src/actions/shared/managed-images.js';
import { targetsSchema } from '../../src/actions/shared/targets-input.js';
import { UserError } from '../../src/base/errors.js';

const release = v.parse(releaseSchema, 'master centos9');

const targets = v.parse(
  targetsSchema,
  [
    'quay.example/tripleomastercentos9/daemon',
    'quay.example/mirror/daemon',
    'quay.io/prometheus/alertmanager:v0.23.0 -> quay.example/tripleomastercentos9/alertmanager',
  ].join('\n'),
);

test('each image is listed once, by its base name, as RDO reads it', () => {
  expect(excludeList(targets, release)).toBe(
    [
      '# What ceph-promotion-actions promotes, by distro, and each name as a key too. Each run writes this file.',
      'exclude_containers:',
      '  master:',
      '    centos9:',
      '      - alertmanager',
      '      - daemon',
      '    alertmanager: []',
      '    daemon: []',
      '',
    ].join('\n'),
  );
});

const listSchema = v.strictObject({
  exclude_containers: v.record(v.string(), v.record(v.string(), v.array(v.string()))),
});
type List = v.InferOutput<typeof listSchema>['exclude_containers'];

/** How RDO's programs find what is excluded: the promoter goes through a release, the builds look up the distro. */
const readers: Record<string, (list: List) => string[]> = {
  promoter: ({ master = {} }) => Object.keys(master),
  builds: ({ master: { centos9 = [] } = {} }) => centos9,
};

test.each(Object.keys(readers))("RDO's %s leaves alone what is promoted here, and nothing else", (reader) => {
  const list = v.parse(listSchema, parse(excludeList(targets, release))).exclude_containers;
  const containers = ['aodh-base', 'daemon', 'nova-api', 'alertmanager'];
  const excluded = readers[reader]?.(list) ?? [];
  expect(containers.filter((name) => !excluded.includes(name))).toEqual(['aodh-base', 'nova-api']);
});

test('a name that YAML 1.1 would read as another type stays a name', () => {
  const text = excludeList(v.parse(targetsSchema, 'quay.example/x/on'), release);
  expect(parse(text, { version: '1.1' })).toEqual({ exclude_containers: { master: { centos9: ['on'], on: [] } } });
});

test('an image that is called like the distro is refused', () => {
  expect(() => excludeList(v.parse(targetsSchema, 'quay.example/x/centos9'), release)).toThrow(
    new UserError(
      "input managed-images-for: a target's image is called centos9, like the distro: one list cannot name both",
    ),
  );
});

test.each(['master', 'master centos 9', 'master: centos9', 'master\ncentos9', '../x centos9/'])(
  '%j is not a release and a distro',
  (text) => {
    expect(v.safeParse(releaseSchema, text).success).toBe(false);
  },
);
