import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { readSigning, type signingInputs } from '../../src/actions/shared/signing-inputs.js';
import { readAuthority } from '../../src/actions/shared/verify-inputs.js';
import { readRunContext } from '../../src/runner/context.js';
import type { ParsedInputs } from '../../src/runner/inputs.js';
import { pemPair } from '../proof/fixture.js';

const KEY = pemPair('ec');
const FORGE = {
  GITHUB_SERVER_URL: 'https://forge.example',
  GITHUB_WORKFLOW_REF: 'team/images/.github/workflows/promotion.yml@refs/heads/main',
};

describe('who signs', () => {
  const NOTHING: ParsedInputs<typeof signingInputs> = {
    'signing-key': undefined,
    'signing-key-password': undefined,
    sign: 'key',
    'fulcio-url': new URL('https://fulcio.example'),
    'rekor-url': new URL('https://rekor.example'),
  };
  const read = (settings: Partial<typeof NOTHING>, env = {}) =>
    readSigning({ ...NOTHING, ...settings }, readRunContext(env));

  test.each([
    ['nothing is set', {}, undefined],
    ['there is a key', { 'signing-key': KEY.secret }, /^key [0-9a-f]{16}$/],
    ['there is a key, and sign is off', { 'signing-key': KEY.secret, sign: 'off' as const }, undefined],
    ['sign is keyless', { sign: 'keyless' as const }, /identity of this run, certified by fulcio.example/],
  ])('if %s', (_, settings, who) => {
    const signing = read(settings);
    if (who === undefined) expect(signing).toBeUndefined();
    else expect(signing?.signer.who).toMatch(who);
  });

  test.each([
    ['a password alone', { 'signing-key-password': 'x' }, /signing-key-password: set, but signing-key is not/],
    ['a key and keyless', { 'signing-key': KEY.secret, sign: 'keyless' as const }, /set, but sign is keyless/],
    ['no key', { 'signing-key': 'keys/promotion.pem' }, /the signing key has no line/],
  ])('%s is refused', (_, settings, said) => {
    expect(() => read(settings)).toThrow(said);
  });

  test.each([
    [
      'the workflow with its ref',
      FORGE,
      'https://forge.example/team/images/.github/workflows/promotion.yml@refs/heads/main',
    ],
    ['the project, where there is no forge', {}, 'https://github.com/rdo-infra/ceph-promotion-actions'],
  ])('the verifier is %s', (_, env, verifier) => {
    expect(read({ 'signing-key': KEY.secret }, env)?.verifier).toBe(verifier);
  });
});

describe('whose signatures count', () => {
  const IDENTITY = 'issuer: https://issuer.example\nidentity: https://forge.example/w.yml@refs/heads/main';
  const read = (verify: string | undefined, root?: string, workspace = '/nowhere') =>
    readAuthority({ verify, 'trusted-root': root }, workspace);

  test('nobody is asked for by default', async () => {
    expect(await read(undefined)).toBeUndefined();
  });

  test('keys, as text or in a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'verify-'));
    await writeFile(join(folder, 'promotion.pub'), KEY.open);
    expect(await read(KEY.open)).toMatchObject({ kind: 'keys' });
    expect(await read('promotion.pub', undefined, folder)).toMatchObject({ kind: 'keys' });
  });

  test('an identity, with its trusted root', async () => {
    expect(await read(IDENTITY, '{}')).toEqual({
      kind: 'identity',
      issuer: 'https://issuer.example',
      identity: 'https://forge.example/w.yml@refs/heads/main',
      trustedRoot: '{}',
    });
  });

  test.each([
    ['an identity without a trusted root', IDENTITY, /input trusted-root: required/],
    ['an issuer alone', 'issuer: https://issuer.example', /input verify: .*identity/],
    ['a file that is not there', 'promotion.pub', /input verify: there is no file/],
    ['a private key', KEY.secret, /the public key is a private key/],
  ])('%s is refused', async (_, verify, said) => {
    await expect(read(verify)).rejects.toThrow(said);
  });
});
