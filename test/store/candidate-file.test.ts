import { expect, test } from '@jest/globals';
import { imageSet } from '../../src/candidate/image-set.js';
import { companionKeys, imageOf, parseCandidateFile } from '../../src/store/candidate-file.js';
import { image, tag } from '../ledger/fixture.js';
import { candidateFile } from './fixture.js';

const file = candidateFile('v2');
const set = imageSet(imageOf(file), [image('9.4.7'), image('2.3')]);
const whole = { ...file, ...companionKeys(set) };
const parse = (changes: object) => parseCandidateFile(JSON.stringify({ ...whole, ...changes }), tag('v2'), 'v2.json');

test('a candidate file names a set', () => {
  expect(imageOf(parse({}))).toEqual(set);
  expect(imageOf(file)).toEqual({ ...image('v2'), companions: [] });
});

test.each([
  ['companions without their digest', { 'set-digest': undefined }],
  ['a digest without companions', { companions: undefined }],
  ['the digest of another set', { companions: whole.companions?.slice(1) }],
  ['no companion', { companions: [], 'set-digest': undefined }],
  ['a companion twice', { companions: [...(whole.companions ?? []), ...(whole.companions ?? [])] }],
  ['a companion without a digest', { companions: ['quay.io/x/y:v1'] }],
  ['another key', { set: 'x' }],
])('%s is not a candidate file', (_, changes) => {
  expect(() => parse(changes)).toThrow('v2.json: is not a candidate file: ');
});
