import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { parse } from 'yaml';
import { repositorySchema } from '../../src/candidate/reference.js';
import { extraVars } from '../../src/store/extra-vars.js';
import { candidate } from './fixture.js';

describe('the variables of the jobs', () => {
  test('are what RDO calls them, and text', () => {
    const pinned = candidate('1.10');
    expect(parse(extraVars({ ...pinned, tagsRead: 0 }))).toEqual({
      docker_ceph_namespace: 'quay.io/ceph',
      docker_ceph_image: 'daemon',
      docker_ceph_tag: '1.10',
      ceph_daemon_tag: '1.10',
      docker_ceph_digest: pinned.digest,
    });
  });

  test('have an empty digest where there is none, and a registry alone as namespace', () => {
    const repository = v.parse(repositorySchema, 'registry.example:5000/daemon');
    const variables = parse(extraVars({ ...candidate('v1'), repository, digest: undefined, tagsRead: 0 }));
    expect(variables).toMatchObject({ docker_ceph_namespace: 'registry.example:5000', docker_ceph_digest: '' });
  });
});
