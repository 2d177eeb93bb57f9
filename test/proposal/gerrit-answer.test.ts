import { expect, test } from '@jest/globals';
import { readGerritAnswer } from '../../src/proposal/gerrit-answer.js';

const refused = (why: string) => `!\tHEAD:refs/for/main\t[remote rejected] (${why})\nDone\n`;

/** The words of Gerrit's ReceiveCommits, and of the error messages in its documentation. */
test.each<[string, number, string, unknown]>([
  [
    'a new patch set',
    0,
    'remote: Processing changes: updated: 1, done\nremote: SUCCESS\nremote:\nremote:   https://review.example/c/a/b/+/12 Update [NEW]\n',
    { result: 'pushed', url: 'https://review.example/c/a/b/+/12' },
  ],
  ['nothing new', 1, refused('no new changes'), { result: 'unchanged', url: undefined }],
  ...[
    'commit(s) already exists (as current patchset)',
    'commit already exists (as current patchset)',
    'commit already exists (in the change)',
    'commit already exists (in the project)',
  ].map((why): [string, number, string, unknown] => [why, 1, refused(why), { result: 'unchanged', url: undefined }]),
  [
    'a closed change',
    1,
    refused('change https://review.example/c/a/+/12 closed'),
    { result: 'closed', url: 'https://review.example/c/a/+/12' },
  ],
  [
    'a right that is missing',
    1,
    refused('prohibited by Gerrit: not permitted: create change on refs/heads/main'),
    undefined,
  ],
  ['no Change-Id', 1, refused('missing Change-Id in message footer'), undefined],
  [
    "somebody else's committer",
    1,
    refused('email address we@example.org is not registered in your account'),
    undefined,
  ],
])('what Gerrit says: %s', (_, code, said, expected) => {
  expect(readGerritAnswer(said, code === 0)).toEqual(expected);
});
