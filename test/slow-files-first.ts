/**
 * The order of the test files: those that take longest come first in their group. So none of them is at work
 * alone when all others are done. vitest knows how long a file took the last time. A fresh clone has no last
 * time, and there this list tells.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** The slowest first, by the last parts of their paths. `test/tooling/suites.test.ts` looks for each. */
export const SLOW_FILES: readonly string[] = [
  'test/histories/pipeline.long.test.ts',
  'libs/delivered-state/src/adapters/duckdb.long.test.ts',
  'libs/message-log/src/adapters/kafka.contract.test.ts',
  'libs/delivered-state/src/adapters/duckdb.test.ts',
  'services/renderer/src/killed-renderer.long.test.ts',
  'services/delivery/src/slow-destinations.test.ts',
  'services/cli/src/binary.test.ts',
  'test/console/screens.long.test.ts',
  'test/shapes/shapes.long.test.ts',
  'test/e2e/control.long.test.ts',
  'test/e2e/fifty-schedules.long.test.ts',
  'test/e2e/examples.long.test.ts',
  'test/e2e/unchanged-values.long.test.ts',
  'test/e2e/exit-codes.long.test.ts',
  'test/e2e/kafka-histories.long.test.ts',
  'test/e2e/asked-runs.long.test.ts',
  'test/console/console.test.ts',
  'test/e2e/bad-input.long.test.ts',
  'test/e2e/outcomes.test.ts',
  'test/e2e/lost-topics.test.ts',
  'test/fault/deadly-rows.long.test.ts',
  'test/fault/fault-histories.long.test.ts',
  'test/fault/killed-run.long.test.ts',
  'test/fault/killed-processes.long.test.ts',
  'test/fault/killed-replay.long.test.ts',
  'test/fault/killed-batches.long.test.ts',
  'test/fault/killed-run.test.ts',
]

export class SlowFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return sorted.toSorted((a, b) => groupOf(a) - groupOf(b) || rankOf(a) - rankOf(b))
  }
}

function groupOf({ project }: TestSpecification): number {
  return project.config.sequence.groupOrder
}

function rankOf({ moduleId }: TestSpecification): number {
  const rank = SLOW_FILES.findIndex(file => moduleId.endsWith(`/${file}`))
  return rank === -1 ? SLOW_FILES.length : rank
}
