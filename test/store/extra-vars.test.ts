import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { parse } from 'yaml';
import { extraVars, rdoVariables, type Values, variableTemplateSchema } from '../../src/store/extra-vars.js';

const values: Values = {
  reference: 'quay.io/ceph/ceph:v19.2.3-20250717@sha256:0',
  repository: 'quay.io/ceph/ceph',
  namespace: 'quay.io/ceph',
  'image-name': 'ceph',
  tag: 'v19.2.3-20250717',
  digest: 'sha256:0',
  flavor: 'squid',
  version: '19.2.3',
  set: 'a\nb',
  'set-digest': 'sha256:1',
  'cephadm-repository': 'https://example.org/ceph-squid/',
  'openstack-repository': 'https://example.org/centos9-master/',
};
const templates = (...lines: string[]) => lines.map((line) => v.parse(variableTemplateSchema, line));

test("RDO's variables have the names that its jobs read, and are text", () => {
  expect(parse(extraVars(rdoVariables, { ...values, tag: '1.10', digest: '' }))).toEqual({
    docker_ceph_namespace: 'quay.io/ceph',
    docker_ceph_image: 'ceph',
    docker_ceph_tag: '1.10',
    ceph_daemon_tag: '1.10',
    docker_ceph_digest: '',
    cephadm_repository: 'https://example.org/ceph-squid/',
    openstack_repository: 'https://example.org/centos9-master/',
  });
});

describe('variables with other names', () => {
  test.each([
    [
      'ci-framework',
      [
        'cifmw_cephadm_container_ns={namespace}',
        'cifmw_cephadm_container_image={image-name}',
        'cifmw_cephadm_container_tag={tag}',
      ],
      {
        cifmw_cephadm_container_ns: 'quay.io/ceph',
        cifmw_cephadm_container_image: 'ceph',
        cifmw_cephadm_container_tag: 'v19.2.3-20250717',
      },
    ],
    [
      'kayobe',
      ['cephadm_image={repository}:{tag}', 'cephadm_image_tag={tag}'],
      { cephadm_image: 'quay.io/ceph/ceph:v19.2.3-20250717', cephadm_image_tag: 'v19.2.3-20250717' },
    ],
    ['Rook', ['ceph_image={reference}'], { ceph_image: values.reference }],
    ['a set', ['images={set}', 'of={set-digest}'], { images: 'a\nb', of: 'sha256:1' }],
    [
      'several values, and a plain text',
      ['a={flavor} {version}={flavor}', 'b=', 'c={{ x }}'.replace('{{ x }}', 'x')],
      { a: 'squid 19.2.3=squid', b: '', c: 'x' },
    ],
  ])('%s', (_, lines, expected) => {
    expect(parse(extraVars(templates(...lines), values))).toEqual(expected);
  });

  test.each([
    ['a={digets}', '{digets} is unknown; there are {reference}, '],
    ['a={}', '{} is unknown'],
    ['1a={tag}', 'is not `name=template`'],
    ['a-b={tag}', 'is not `name=template`'],
    ['{tag}', 'is not `name=template`'],
    ['a={tag}\n', 'is not `name=template`'],
  ])('%j is refused', (line, problem) => {
    const parsed = v.safeParse(variableTemplateSchema, line);
    expect(parsed.success ? '' : parsed.issues[0].message).toContain(problem);
  });

  test('a value is not used as a template again', () => {
    expect(parse(extraVars(templates('a={tag}'), { ...values, tag: '{digest}' }))).toEqual({ a: '{digest}' });
  });

  test('a name that occurs twice is refused', () => {
    expect(() => extraVars(templates('a=1', 'a=2'), values)).toThrow('a is named twice');
  });
});
