import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { formatServer, serverSchema } from '../../../src/store/sftp/address.js';

describe('a server', () => {
  test.each([
    ['sftp://u@h/d', { user: 'u', host: 'h', port: 22, directory: '/d' }, 'sftp://u@h/d'],
    ['SFTP://u@H.Example:2222/a/b/', { user: 'u', host: 'h.example', port: 2222, directory: '/a/b' }, undefined],
    ['sftp://u@[::1]:22/a', { user: 'u', host: '::1', port: 22, directory: '/a' }, 'sftp://u@[::1]/a'],
    ['sftp://a%40b@10.0.0.1/a%20b/c%25', { user: 'a@b', host: '10.0.0.1', port: 22, directory: '/a b/c%' }, undefined],
    [
      'sftp://uploader@images.rdoproject.org/var/www/html/images/ceph/daemon/master',
      {
        user: 'uploader',
        host: 'images.rdoproject.org',
        port: 22,
        directory: '/var/www/html/images/ceph/daemon/master',
      },
      'sftp://uploader@images.rdoproject.org/var/www/html/images/ceph/daemon/master',
    ],
  ])('%s', (text, parts, shown) => {
    const server = v.parse(serverSchema, text);
    expect(server).toEqual(parts);
    if (shown !== undefined) expect(formatServer(server)).toBe(shown);
  });

  test.each([
    ['', /not a server/],
    ['u@h:/d', /not a server/],
    ['https://u:secret@h/d', /^not a server: https:\/\/ can only be read; write sftp:\/\/user@host/],
    ['ssh://u@h/d', /^not a server: it begins with ssh:\/\/; write sftp:/],
    ['u@h.example:/d', /^not a server: this is scp's form; write sftp:/],
    ['sftp://h/d', /no user/],
    ['sftp://@h/d', /no user/],
    ['sftp://u%zz@h/d', /no user/],
    ['sftp://-oProxyCommand=x@h/d', /not a user name/],
    ['sftp://u%0ax@h/d', /not a user name/],
    ['sftp://u:secret@h/d', /password/],
    ['sftp://u@-oProxyCommand=x/d', /neither a host/],
    ['sftp://u@/d', /neither a host/],
    ['sftp://u@h%2fx/d', /neither a host/],
    ['sftp://u@h x/d', /neither a host/],
    ['sftp://u@::1/d', /not a server/],
    ['sftp://u@[::1%25eth0]/d', /neither a host/],
    ['sftp://u@[nonsense]/d', /neither a host/],
    ['sftp://u@h:0/d', /not a port/],
    ['sftp://u@h:65536/d', /not a port/],
    ['sftp://u@h:22x/d', /not a server/],
    ['sftp://u@h', /no directory/],
    ['sftp://u@h/', /no directory/],
    ['sftp://u@h/a%0ab', /no directory/],
    ['sftp://u@h/a%00b', /no directory/],
    ['sftp://u@h/%', /no directory/],
    ['sftp://u@h/~/d', /plain absolute/],
    ['sftp://u@h/a/../b', /plain absolute/],
    ['sftp://u@h/a/%2e%2e/b', /plain absolute/],
    ['sftp://u@h/./a', /plain absolute/],
    ['sftp://u@h//a', /plain absolute/],
    ['sftp://u@h/a?b', /query/],
    ['sftp://u@h/a#b', /query/],
  ])('%j is refused', (text, why) => {
    const parsed = v.safeParse(serverSchema, text);
    const message = parsed.issues?.[0].message ?? '';
    expect(message).toMatch(why);
    expect(message).not.toContain('secret');
  });
});
