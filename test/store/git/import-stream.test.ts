import { expect, test } from '@jest/globals';
import { type CommittedFile, importStream } from '../../../src/store/git/import-stream.js';

const file = (mode: CommittedFile['mode'], text: string): CommittedFile => ({ mode, bytes: Buffer.from(text) });
const commit = { ref: 'refs/next', parent: undefined, committer: 'a <b@c>', when: 7, message: 'why\n' };

test('one commit, with the length of each content in bytes', () => {
  const files = new Map<string, CommittedFile | 'removed'>([
    ['run.sh', file('100755', 'ü')],
    ['v1', file('120000', 'v1.0')],
    ['old', 'removed'],
  ]);
  expect(importStream({ ...commit, parent: 'refs/base', tree: 'abc', files }).toString()).toBe(
    'commit refs/next\nmark :1\ncommitter a <b@c> 7 +0000\ndata 4\nwhy\n\nfrom refs/base\nM 040000 abc \n' +
      'M 100755 inline "run.sh"\ndata 2\nü\nM 120000 inline "v1"\ndata 4\nv1.0\nD "old"\nget-mark :1\ndone\n',
  );
});

test.each([
  ['a quote and a backslash', 'a"b\\c', 'D "a\\"b\\\\c"\n'],
  ['letters beyond ASCII', 'größe', 'D "größe"\n'],
])('a path with %s is quoted', (_, path, line) => {
  expect(importStream({ ...commit, files: new Map([[path, 'removed' as const]]) }).toString()).toContain(line);
});

test.each(['a\nM 100644 inline b', 'a\u0000b', '\u007f'])('a path that could end its line is refused: %j', (path) => {
  expect(() => importStream({ ...commit, files: new Map([[path, 'removed' as const]]) })).toThrow('not a path');
});
