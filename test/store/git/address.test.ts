import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { formatStore, isInGit, storeSchema } from '../../../src/store/address.js';
import { formatGitAddress, gitAddressSchema } from '../../../src/store/git/address.js';

describe('the address of a store in git', () => {
  test.each([
    ['git', undefined, 'promotions', '', 'git@promotions'],
    ['git@gh-pages#ceph', undefined, 'gh-pages', 'ceph', 'git@gh-pages#ceph'],
    ['git#a/b.c', undefined, 'promotions', 'a/b.c', 'git@promotions#a/b.c'],
    ['git+https://H.Example/owner/name.git', 'https://h.example/owner/name.git', 'promotions', '', undefined],
    ['git+https://h:8443/group/sub/name@release/1.x#d', 'https://h:8443/group/sub/name', 'release/1.x', 'd', undefined],
    ['git+ssh://git@h/owner/name@b', 'ssh://git@h/owner/name', 'b', '', 'git+ssh://git@h/owner/name@b'],
    ['git+ssh://git@[::1]:22/o/n', 'ssh://git@[::1]:22/o/n', 'promotions', '', undefined],
    ['git+http://127.0.0.1:3000/o/n', 'http://127.0.0.1:3000/o/n', 'promotions', '', undefined],
  ])('%s', (text, repository, branch, directory, written) => {
    const address = v.parse(storeSchema, text);
    if (!isInGit(address)) throw new Error('not in git');
    expect({ ...address, repository: address.repository?.href }).toEqual({
      kind: 'git',
      repository,
      branch,
      directory,
    });
    expect(v.parse(gitAddressSchema, formatGitAddress(address))).toEqual(address);
    if (written !== undefined) expect(formatStore(address)).toBe(written);
  });

  test.each([
    ['git+http://forge.example/o/n', 'http is for loopback only'],
    ['git+http://127.0.0.1.example/o/n', 'http is for loopback only'],
    ['git+https://user@h/o/n', 'has a user in it'],
    ['git+https://user:secret@h/o/n', 'has a password in it'],
    ['git+ssh://git:secret@h/o/n', 'has a password in it'],
    ['git+ssh://h/o/n', 'names no user'],
    ['git+ssh://-oProxyCommand=x@h/o/n', 'names no user'],
    ['git+https://-h/o/n', 'neither a host name nor an address'],
    ['git+https://h', 'names no repository'],
    ['git+https://h/../n', 'names no repository'],
    ['git+https://h/o/-n', 'names no repository'],
    ['git+https://h/o/n?x=1', 'names no repository'],
    ['git+https://h:0/o/n', 'is not a port'],
    ['git+ext://h/o/n', 'not a store such as'],
    ['git+file:///tmp/x', 'not a store such as'],
    ['git@-b', 'is not a branch name'],
    ['git@a..b', 'is not a branch name'],
    ['git@HEAD', 'is not a branch name'],
    ['git@a.lock', 'is not a branch name'],
    ['git@', 'is not a branch name'],
    ['git#..', 'is not a plain relative directory'],
    ['git#/a', 'is not a plain relative directory'],
    ['git#a/.git', 'is not a plain relative directory'],
  ])('%s is refused', (text, problem) => {
    const parsed = v.safeParse(storeSchema, text);
    expect(parsed.success).toBe(false);
    expect(parsed.issues?.[0].message).toContain(problem);
    expect(parsed.issues?.[0].message).not.toContain('secret');
  });
});
