import { defineConfig } from 'vitest/config'
import { SummaryReporter } from './test/summary-reporter.ts'

/**
 * Six suites. unit: beside the source, no services. tooling: the house rules and the machinery of the tests.
 * contract: every adapter against its port's suite, on real services. e2e: whole pipelines. fault: whole
 * pipelines whose parts die. outage: those whose parts stand still or are missing, which mostly wait. Real
 * services come from test/services.ts, which starts what is not given by environment variables. Files run
 * side by side but for those of fault, whose kills and time limits need the machine to themselves.
 */
const OUTAGES = [
  'frozen-processes',
  'full-disk',
  'hanging-source',
  'redis-readiness',
  'unreachable-at-start',
].map(name => `test/fault/${name}.test.ts`)

export default defineConfig({
  test: {
    reporters: ['default', new SummaryReporter()],
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['libs/*/src/**/*.test.ts', 'services/*/src/**/*.test.ts', 'test/histories/**/*.test.ts'],
          exclude: ['**/*.contract.test.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'tooling',
          include: ['test/tooling/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'contract',
          include: ['libs/*/src/**/*.contract.test.ts'],
          globalSetup: ['test/services.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts', 'test/shapes/**/*.test.ts'],
          globalSetup: ['test/services.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'fault',
          include: ['test/fault/**/*.test.ts'],
          exclude: OUTAGES,
          globalSetup: ['test/services.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
      {
        test: {
          name: 'outage',
          include: OUTAGES,
          globalSetup: ['test/services.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
})
