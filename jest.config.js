import { availableParallelism } from 'node:os';

const common = {
  modulePathIgnorePatterns: ['<rootDir>/build/', '<rootDir>/dist/', '<rootDir>/.sandbox/'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, sourceMaps: 'inline' }],
  },
};

/** @type {import('jest').Config} */
export default {
  projects: [
    {
      ...common,
      displayName: 'unit',
      testMatch: ['<rootDir>/test/**/*.test.ts'],
      testPathIgnorePatterns: ['\\.server\\.test\\.ts$'],
    },
    {
      ...common,
      displayName: 'servers',
      testMatch: ['<rootDir>/test/**/*.server.test.ts'],
      // Compiled: jest does not transform ES modules that it loads itself.
      globalSetup: '<rootDir>/build/test/sandbox/global-setup.js',
      globalTeardown: '<rootDir>/build/test/sandbox/global-teardown.js',
    },
  ],
  // A limit that only ends a hang: a busy machine is slow, and that is no failure.
  testTimeout: 120_000,
  // Most tests wait for servers: one more than there are processors keeps those busy.
  maxWorkers: availableParallelism() + 1,
};
