import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import * as v from 'valibot';
import { parse } from 'yaml';
import { extraVars, type Values, variableTemplateSchema } from '../../src/store/extra-vars.js';
import { projectRoot } from '../sandbox/project.js';
import { blocksOf } from './markdown.js';

const DIGEST = `sha256:${'1'.repeat(64)}`;
const TAG = 'v19.2.3-20250717';
const values: Values = {
  reference: `quay.io/ceph/ceph:${TAG}@${DIGEST}`,
  repository: 'quay.io/ceph/ceph',
  namespace: 'quay.io/ceph',
  'image-name': 'ceph',
  tag: TAG,
  digest: DIGEST,
  flavor: 'squid',
  version: '19.2.3',
  set: '',
  'set-digest': '',
  'cephadm-repository': '',
  'openstack-repository': '',
};

/** How each of these composes the image to pull. */
test.each([
  [
    'ci-framework',
    ({ cifmw_cephadm_container_ns: ns, cifmw_cephadm_container_image: image, cifmw_cephadm_container_tag: tag }) =>
      `${ns}/${image}:${tag}`,
    `quay.io/ceph/ceph:${TAG}`,
  ],
  ['kayobe', ({ cephadm_image: image }) => image, `quay.io/ceph/ceph:${TAG}`],
  ['rook', ({ ceph_image: image }) => image, values.reference],
] satisfies [string, (variables: Record<string, string>) => string | undefined, string][])(
  'the variables of the page on %s name the candidate',
  (page, imageOf, expected) => {
    const text = readFileSync(join(projectRoot, 'docs/how-to', `${page}.md`), 'utf8');
    const [step] = parse(blocksOf(text).find(({ info }) => info === 'yaml')?.text ?? '');
    const lines: string[] = step.with['extra-vars'].trim().split('\n');
    const variables = parse(
      extraVars(
        lines.map((line) => v.parse(variableTemplateSchema, line)),
        values,
      ),
    );
    expect(imageOf(variables)).toBe(expected);
  },
);
