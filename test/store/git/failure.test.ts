import { describe, expect, test } from '@jest/globals';
import { readFailure, readRefusedPush } from '../../../src/store/git/failure.js';

/** What forges and git print, as they print it. */
describe("what failed is recognized by git's messages", () => {
  test.each([
    [
      'GitHub, a token that may only read',
      "remote: Permission to o/r.git denied to github-actions[bot].\nfatal: unable to access 'https://github.com/o/r/': The requested URL returned error: 403",
      'forbidden',
    ],
    [
      'GitHub, a fine-grained token',
      "remote: Write access to repository not granted.\nfatal: unable to access 'https://github.com/o/r/': The requested URL returned error: 403",
      'forbidden',
    ],
    [
      'GitHub, an archive',
      "remote: This repository was archived so it is read-only.\nfatal: unable to access 'https://github.com/o/r/': The requested URL returned error: 403",
      'forbidden',
    ],
    [
      'GitLab, a role too low',
      "remote: You are not allowed to push code to this project.\nfatal: unable to access 'https://gitlab.com/o/r/': The requested URL returned error: 403",
      'forbidden',
    ],
    [
      'GitHub, no repository',
      "remote: Repository not found.\nfatal: repository 'https://github.com/o/r/' not found",
      'not-found',
    ],
    ['Gitea, no repository', "remote: Not found.\nfatal: repository 'https://gitea.com/o/r/' not found", 'not-found'],
    [
      'GitHub over SSH, no repository',
      'ERROR: Repository not found.\nfatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights',
      'not-found',
    ],
    [
      'GitHub, a bad token',
      "remote: Invalid username or token. Password authentication is not supported for Git operations.\nfatal: Authentication failed for 'https://github.com/o/r/'",
      'unauthorized',
    ],
    [
      'git without a token',
      "fatal: could not read Username for 'https://github.com': terminal prompts disabled",
      'unauthorized',
    ],
    [
      'OpenSSH, no key',
      'git@github.com: Permission denied (publickey).\nfatal: Could not read from remote repository.',
      'unauthorized',
    ],
    [
      'OpenSSH, another host',
      'Host key verification failed.\nfatal: Could not read from remote repository.',
      'host-key',
    ],
    [
      'curl, no such name',
      "fatal: unable to access 'https://forge.example/o/r/': Could not resolve host: forge.example",
      'unreachable',
    ],
    [
      'curl, nobody listens',
      "fatal: unable to access 'https://h/o/r/': Failed to connect to h port 443 after 1 ms: Couldn't connect to server",
      'unreachable',
    ],
    [
      'curl, an unknown authority',
      "fatal: unable to access 'https://h/o/r/': server certificate verification failed. CAfile: none CRLfile: none",
      'unreachable',
    ],
    [
      'curl, stalled',
      "fatal: unable to access 'https://h/o/r/': Operation too slow. Less than 100 bytes/sec transferred the last 60 seconds",
      'timeout',
    ],
    [
      'a server in trouble',
      "fatal: unable to access 'https://h/o/r/': The requested URL returned error: 502",
      'server-error',
    ],
    ['a full disk', 'remote: fatal: write error: No space left on device\nerror: remote unpack failed', 'full'],
    ['a full disk here', 'fatal: unable to write loose object file: No space left on device', 'full'],
    ['a full disk here, to git-config', 'error: failed to write new configuration file /tmp/x/config.lock', 'full'],
    ['words that nobody knows', 'fatal: the moon is in the wrong phase', 'server-error'],
    ['nothing', '', 'server-error'],
  ])('%s', (_, stderr, kind) => {
    const failure = readFailure(stderr);
    expect(failure.kind).toBe(kind);
    expect(failure.line).toMatch(/^.+$/);
  });
});

test('a full disk is reported as that of the runner or of the server', () => {
  const said = 'fatal: write error: No space left on device';
  expect(readFailure(said).line).toBe('no space left on the runner');
  expect(readFailure(`remote: ${said}\nerror: remote unpack failed`).line).toMatch(/^git failed: remote: /);
});

describe('a push that was refused', () => {
  const ref = (words: string) => `To http://forge.example/o/r\n!\tabc:refs/heads/b\t${words}\nDone\n`;
  test.each([
    ['git, the lease is out of date', '[rejected] (stale info)'],
    ['git, the branch went on', '[rejected] (fetch first)'],
    ['git 2.39, another push was first', '[remote rejected] (failed to update ref)'],
    [
      'git, the ref is locked or has moved',
      "[remote rejected] (cannot lock ref 'refs/heads/b': is at 1 but expected 2)",
    ],
    ['git, the old value is another one', '[remote rejected] (incorrect old value provided)'],
  ])('%s: the branch moved', (_, words) => {
    expect(readRefusedPush(ref(words), '')).toBe('moved');
  });

  test('by a hook: its words are shown', () => {
    expect(
      readRefusedPush(ref('[remote rejected] (pre-receive hook declined)'), 'remote: error: no.\nremote: \n'),
    ).toEqual({
      kind: 'forbidden',
      line: 'the push was refused: pre-receive hook declined: no.',
      hint: 'branch-rules',
    });
  });

  test.each([
    [
      'GitHub, a protected branch',
      '[remote rejected] (protected branch hook declined)',
      'remote: error: GH006: Protected branch update failed for refs/heads/b.        \nremote: \nremote: - Changes must be made through a pull request.        \n',
      'the push was refused: protected branch hook declined: GH006: Protected branch update failed for refs/heads/b.: - Changes must be made through a pull request.',
    ],
    [
      'GitHub, a ruleset',
      '[remote rejected] (push declined due to repository rule violations)',
      'remote: error: GH013: Repository rule violations found for refs/heads/b.\n',
      'the push was refused: push declined due to repository rule violations: GH013: Repository rule violations found for refs/heads/b.',
    ],
    [
      'Gitea, a protected branch',
      '[remote rejected] (pre-receive hook declined)',
      'remote: \nremote: Gitea: Not allowed to push to protected branch b\n',
      'the push was refused: pre-receive hook declined: Gitea: Not allowed to push to protected branch b',
    ],
    [
      'git, receive.denyNonFastForwards',
      '[remote rejected] (non-fast-forward)',
      'remote: error: denying non-fast-forward refs/heads/b (you should pull first)\n',
      'the push was refused: non-fast-forward: denying non-fast-forward refs/heads/b (you should pull first)',
    ],
  ])('by the rules for the branch: %s', (_, words, stderr, line) => {
    expect(readRefusedPush(ref(words), stderr)).toEqual({ kind: 'forbidden', line, hint: 'branch-rules' });
  });

  test('by a branch whose name begins like this one', () => {
    const stderr =
      "remote: error: cannot lock ref 'refs/heads/b': 'refs/heads/b/x' exists; cannot create 'refs/heads/b'        \n";
    expect(readRefusedPush(ref('[remote rejected] (failed to update ref)'), stderr)).toEqual({
      kind: 'conflict',
      line: 'the branch b/x exists, and git cannot have a branch of this name beside it: name another branch',
    });
  });

  test('before the server checked any ref', () => {
    expect(readRefusedPush('', 'fatal: unable to access: The requested URL returned error: 403')).toMatchObject({
      kind: 'forbidden',
    });
  });
});
