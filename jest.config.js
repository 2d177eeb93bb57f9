import { availableParallelism } from 'node:os';

/** @type {import('jest').Config} */
export default {
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/build/', '<rootDir>/dist/', '<rootDir>/.sandbox/'],
  // Compiled: jest does not transform ES modules that it loads itself.
  globalSetup: '<rootDir>/build/test/sandbox/global-setup.js',
  globalTeardown: '<rootDir>/build/test/sandbox/global-teardown.js',
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, sourceMaps: 'inline' }],
  },
  testTimeout: 30_000,
  // Most tests wait for servers: one more than there are processors keeps those busy.
  maxWorkers: availableParallelism() + 1,
};
