import { expect, test } from '@jest/globals';
import { sandbox } from '../sandbox/current.js';
import { tellStory } from './story.js';

const [OLD, GOOD, BAD] = [
  'v6.0.5-stable-6.0-pacific-centos-8',
  'v6.0.6-stable-6.0-pacific-centos-8',
  'v6.0.7-stable-6.0-pacific-centos-stream8',
] as const;

test('the demo tells a reject, a force, a rollback and a regression in a few lines each', async () => {
  const said: string[] = [];
  await tellStory(sandbox(), (line = '') => said.push(line));
  const scenes = said.join('\n').trim().split('\n\n');
  const expected: readonly (readonly RegExp[])[] = [
    [/^A test fails/, RegExp(`${BAD} is rejected: scenario004 failed`), RegExp(`^  Promoted now: ${GOOD} `)],
    [
      /^alice cannot wait/,
      RegExp(`forced ${BAD}$`),
      /^ {2}Skipped: scenario004$/,
      /^ {2}Overridden: reject$/,
      RegExp(`^  Previous: ${GOOD} `),
      /^ {2}Undo: .*rollback-to: previous/,
    ],
    [
      /she rolls back:$/,
      RegExp(`rolled back from ${BAD} to ${GOOD}$`),
      RegExp(`^  On hold: ${BAD} .*: OSDs do not start$`),
      RegExp(`^  Previous: ${OLD} `),
      RegExp(`^  Undo: .*lift-hold: ${BAD}`),
    ],
    [/^The next scheduled run/, RegExp(`${BAD} waits: .*is on hold`), RegExp(`^  Promoted now: ${GOOD} `)],
    [
      /^A job that the promoted image had passed fails now/,
      RegExp(`${GOOD} is promoted, and has regressed$`),
      /^ {2}Regressed: .*scenario001 has failed since /,
      RegExp(`^  Go back to ${OLD}: .*rollback-to: previous`),
    ],
  ];
  expect(scenes.map((scene) => scene.split('\n'))).toEqual(
    expected.map((lines) => lines.map((line) => expect.stringMatching(line))),
  );
});
