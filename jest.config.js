/** @type {import('jest').Config} */
export default {
  testEnvironment: '<rootDir>/tests/support/leakGuard.ts',
  testMatch: ['<rootDir>/tests/**/*.test.ts'],
  // a real browser is put there by `npm run browser` alone
  testPathIgnorePatterns: process.env.TIU_BROWSER === undefined ? ['<rootDir>/tests/browser/'] : [],
  modulePathIgnorePatterns: ['<rootDir>/.tiu/', '<rootDir>/dist/', '<rootDir>/tools/node/'],
  extensionsToTreatAsEsm: ['.ts'],
  watchman: false,
  // For what hangs. A machine that is busy with other things must not fail a test that is right.
  testTimeout: 180_000,
  // Most suites wait for processes more than they work; beyond two they are in each other's way.
  maxWorkers: 2,
  // The leak guard of every suite says what it leaves behind; native calls that still retry must not hold the run up.
  forceExit: true,
  globalSetup: '<rootDir>/tests/support/globalSetup.ts',
  globalTeardown: '<rootDir>/tests/support/globalTeardown.ts',
  testSequencer: '<rootDir>/tools/jestOrder.mjs',
  reporters: ['default', '<rootDir>/tools/jestCounts.mjs'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { swcrc: false, jsc: { target: 'es2024', parser: { syntax: 'typescript' } }, module: { type: 'es6' }, sourceMaps: 'inline' },
    ],
  },
};
