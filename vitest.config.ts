import { defineConfig } from 'vitest/config'

/**
 * Three suites. unit: beside the source, no services. contract: every adapter against its port's suite, on real services. e2e: whole pipelines.
 * Real services come from test/services.ts, which starts what is not given by environment variables.
 */
export default defineConfig({
  test: {
    reporters: ['default'],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['libs/*/src/**/*.test.ts', 'services/*/src/**/*.test.ts'],
          exclude: ['**/*.contract.test.ts'],
        },
      },
      {
        test: {
          name: 'contract',
          include: ['libs/*/src/**/*.contract.test.ts'],
          globalSetup: ['test/services.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/services.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
