import { describe, expect, test } from '@jest/globals';
import { type Requester, refuseActor, refuseRef } from '../../src/rules/requester.js';

const ALICE: Requester = {
  event: 'workflow_dispatch',
  actor: 'alice',
  triggeringActor: '',
  pipeline: undefined,
  ref: 'refs/heads/main',
  defaultBranch: 'main',
};

describe('who may make a decision', () => {
  test.each<[string, Partial<Requester>, string[], unknown]>([
    ['an allowed actor', {}, ['alice'], undefined],
    ['an allowed actor who also started the attempt', { triggeringActor: 'alice' }, ['alice'], undefined],
    ['a schedule', { event: 'schedule' }, ['alice'], { kind: 'event', event: 'schedule' }],
    ['a push', { event: 'push' }, ['alice'], { kind: 'event', event: 'push' }],
    ['nobody is allowed', {}, [], { kind: 'actor', actor: 'alice' }],
    ['another actor', { actor: 'bob' }, ['alice'], { kind: 'actor', actor: 'bob' }],
    ['another person re-runs it', { triggeringActor: 'eve' }, ['alice'], { kind: 'actor', actor: 'eve' }],
  ])('%s', (_, requester, allowed, expected) => {
    expect(refuseActor({ ...ALICE, ...requester }, allowed, [])).toEqual(expected);
  });

  test.each<[string, Partial<Requester>, string[], unknown]>([
    ['a pipeline that only people enqueue to', { pipeline: 'by-hand' }, ['by-hand'], undefined],
    ['a periodic one', { pipeline: 'periodic' }, ['by-hand'], { kind: 'pipeline', pipeline: 'periodic' }],
    ['one with the listed name at its end', { pipeline: 'x-by-hand' }, ['by-hand'], expect.anything()],
    ['any pipeline where none is listed', { pipeline: 'by-hand' }, [], { kind: 'pipeline', pipeline: 'by-hand' }],
    ['no pipeline', { pipeline: '' }, ['by-hand'], { kind: 'pipeline', pipeline: '' }],
    ['nobody', { pipeline: 'by-hand', actor: '' }, ['by-hand'], { kind: 'actor', actor: '' }],
    ['another person', { pipeline: 'by-hand', actor: 'bob' }, ['by-hand'], { kind: 'actor', actor: 'bob' }],
  ])('in Zuul: %s', (_, requester, pipelines, expected) => {
    const build = { ...ALICE, event: 'zuul/by-hand', ref: undefined, ...requester };
    expect(refuseActor(build, ['alice'], pipelines)).toEqual(expected);
  });

  test.each<[string, Partial<Requester>, unknown]>([
    ['an allowed person', {}, undefined],
    ['another', { actor: 'bob' }, { kind: 'actor', actor: 'bob' }],
  ])('at a command line: %s', (_, requester, expected) => {
    expect(refuseActor({ ...ALICE, event: 'command-line', ...requester }, ['alice'], [])).toEqual(expected);
  });
});

describe('which refs may change something', () => {
  const other = (ref: string, allowed = ['main']) => ({ kind: 'ref', ref, allowed });
  test.each<[string, Partial<Requester>, string[], unknown]>([
    ['the default branch', {}, [], undefined],
    ['another branch', { ref: 'refs/heads/try' }, [], other('refs/heads/try')],
    ['a branch with the default branch at its end', { ref: 'refs/heads/x/main' }, [], other('refs/heads/x/main')],
    ['a tag with the name of the default branch', { ref: 'refs/tags/main' }, [], other('refs/tags/main')],
    ['a change', { ref: 'refs/pull/1/merge' }, [], other('refs/pull/1/merge')],
    ['a listed branch', { ref: 'refs/heads/v2' }, ['main', 'v2'], undefined],
    ['a listed branch by its full ref', { ref: 'refs/heads/v2' }, ['refs/heads/v2'], undefined],
    ['the default branch where others are listed', {}, ['v2'], other('refs/heads/main', ['v2'])],
    ['a listed tag', { ref: 'refs/tags/v2' }, ['refs/tags/v2'], undefined],
    ['a tag of which the branch is listed', { ref: 'refs/tags/v2' }, ['v2'], other('refs/tags/v2', ['v2'])],
    ['a schedule whose payload names no branch', { event: 'schedule', defaultBranch: undefined }, [], undefined],
    ['a schedule, without the ref', { event: 'schedule', ref: '' }, ['main'], undefined],
    [
      'a schedule where the default branch is not listed',
      { event: 'schedule' },
      ['v2'],
      other('refs/heads/main', ['v2']),
    ],
    ['a branch in another case', { ref: 'refs/heads/Main' }, [], other('refs/heads/Main')],
    ['a branch where a pattern is listed', { ref: 'refs/heads/v2' }, ['v*'], other('refs/heads/v2', ['v*'])],
    ['an unknown ref', { ref: '' }, [], { kind: 'unknown-ref' }],
    ['an unknown default branch', { defaultBranch: undefined }, [], { kind: 'unknown-default-branch' }],
    ['an unknown default branch where refs are listed', { defaultBranch: undefined }, ['main'], undefined],
    ['no forge', { ref: undefined, defaultBranch: undefined }, [], undefined],
  ])('%s', (_, requester, allowed, expected) => {
    expect(refuseRef({ ...ALICE, ...requester }, allowed)).toEqual(expected);
  });
});
