import { expect, test } from '@jest/globals';
import { readFailure } from '../../../src/store/git/failure.js';
import { failed, type Remote } from '../../../src/store/git/git.js';

const remote: Remote = {
  url: new URL('https://forge.example:3000/o/r'),
  token: undefined,
  privateKey: undefined,
  knownHosts: undefined,
  agentSocket: undefined,
  caFile: undefined,
  hint: 'server',
};
const REACHED = { hint: 'server', host: 'forge.example:3000' };

test.each([
  ["fatal: unable to access 'https://forge.example:3000/o/r/': Could not resolve host: forge.example", REACHED],
  ["fatal: unable to access 'https://h/o/r/': Failed to connect to h port 3000 after 0 ms: Couldn't connect", REACHED],
  ['ssh: connect to host forge.example port 22: Connection timed out', REACHED],
  [
    "fatal: unable to access 'https://h/o/r/': server certificate verification failed. CAfile: none",
    { hint: 'trust-certificate', host: undefined },
  ],
  ['fatal: Authentication failed for ...', { hint: 'git-token', host: undefined }],
  ['fatal: something new', { hint: undefined, host: undefined }],
])('%s', (said, named) => {
  expect(failed('git', readFailure(said), remote)).toMatchObject(named);
});
