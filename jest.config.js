import { availableParallelism } from 'node:os';

const common = {
  modulePathIgnorePatterns: ['<rootDir>/build/', '<rootDir>/dist/', '<rootDir>/.sandbox/'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, sourceMaps: 'inline' }],
  },
};

// Plain JavaScript, since jest transforms no ES module that it loads itself.
const servers = {
  globalSetup: '<rootDir>/test/sandbox/global-setup.js',
  globalTeardown: '<rootDir>/test/sandbox/global-teardown.js',
};

/** @type {import('jest').Config} */
export default {
  projects: [
    // Needs no server and no build.
    {
      ...common,
      displayName: 'unit',
      testMatch: ['<rootDir>/test/**/*.test.ts'],
      testPathIgnorePatterns: ['\\.(server|field)\\.test\\.ts$'],
    },
    // Needs the sandbox, or programs that the sandbox installs.
    { ...common, ...servers, displayName: 'servers', testMatch: ['<rootDir>/test/**/*.server.test.ts'] },
    // Too slow for `npm test`, alone or together.
    { ...common, ...servers, displayName: 'field', testMatch: ['<rootDir>/test/**/*.field.test.ts'] },
  ],
  testSequencer: '<rootDir>/test/sequencer.js',
  // A limit that only ends a hang. A busy machine is slow, and that is no failure.
  testTimeout: 900_000,
  // Most tests wait for servers: one worker more than there are processors keeps those busy.
  maxWorkers: availableParallelism() + 1,
};
