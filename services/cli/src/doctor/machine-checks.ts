/** What is looked at wherever Sluice runs: Node, its own version, and the project. */
import { isSluiceError } from '@sluice/contracts/errors'
import { ok, problem, warning, type Check } from '@sluice/control/health/check'

const LEAST_NODE = 24

export function versionChecks(sluice: string, node: string): readonly Check[] {
  const isNew = Number.parseInt(node, 10) >= LEAST_NODE
  const found = `sluice ${sluice} on Node ${node}`
  if (isNew) return [ok('versions', found)]
  return [problem('versions', found, `use Node ${LEAST_NODE} or later: \`npm ci\` in the clone brings it`)]
}

/**
 * A mistake in a project stops only what uses it, so that it is a problem for some syncs and none for others.
 */
export async function projectChecks(
  dir: string,
  environment: string | null,
  /** `leftAlone`: syncs with a schedule that nothing runs. */
  load: () => Promise<{ readonly syncs: number; readonly leftAlone: number }>,
): Promise<readonly Check[]> {
  try {
    const { syncs, leftAlone } = await load()
    const place = environment === null ? dir : `${dir}, environment ${environment}`
    if (syncs > 0) {
      const found = ok('project', `${place}, ${syncs} ${syncs === 1 ? 'sync' : 'syncs'}`)
      return leftAlone === 0 ? [found] : [found, leftAloneCheck(leftAlone)]
    }
    return [warning('project', `${place} has no sync`, '`sluice init` writes a project that runs')]
  } catch (error) {
    if (!isSluiceError(error)) throw error
    return [problem('project', error.message, '`sluice validate` shows each mistake with its place')]
  }
}

function leftAloneCheck(count: number): Check {
  const found =
    count === 1
      ? '1 sync has a schedule, and nothing runs it'
      : `${count} syncs have schedules, and nothing runs them`
  return warning('schedules', found, '`sluice up` runs schedules while it stays')
}
