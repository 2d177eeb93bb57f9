import { expect, test } from '@jest/globals';
import { tryParse } from '../../src/base/schema.js';
import { missingPlatforms, platformSchema } from '../../src/candidate/platform.js';

test.each([
  [['linux/amd64'], ['linux/amd64', 'linux/arm64'], []],
  [['linux/amd64', 'linux/arm64'], ['linux/amd64'], ['linux/arm64']],
  [['linux/arm64'], ['linux/arm64/v8'], []],
  [['linux/arm'], ['linux/arm/v7'], []],
  [['linux/arm/v7'], ['linux/arm/v6', 'linux/arm'], ['linux/arm/v7']],
  [['linux/arm'], ['linux/arm64'], ['linux/arm']],
  [['linux/amd64'], [], ['linux/amd64']],
  [[], [], []],
])('if %j is required and there is %j, %j is missing', (wanted, there, missing) => {
  expect(missingPlatforms(wanted, there)).toEqual(missing);
});

test.each([
  ['linux/amd64', 'linux/amd64'],
  ['linux/arm/v7', 'linux/arm/v7'],
  ['linux/arm64/v8', 'linux/arm64'],
])('%s is the platform %s', (text, platform) => {
  expect(tryParse(platformSchema, text)).toEqual({ value: platform });
});

test.each(['amd64', 'x86_64', 'linux/', 'Linux/amd64', 'linux/arm/v7/x', 'linux/amd64\n', ''])(
  '%j is not a platform',
  (text) => {
    expect(tryParse(platformSchema, text)).toHaveProperty('problem');
  },
);
