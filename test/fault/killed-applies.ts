/** Sets of resources that are applied and cut short, wherever they are applied. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ProjectFolder } from '../e2e/project-folder.ts'

export const MODELS = 30
/** With these, a set has more than a megabyte. */
const PADDING = 'x'.repeat(40_000)
export const APPLY = ['apply', '--project', 'killed', '--prune'] as const

export const SOURCE = 'kind: source\nname: files\ntype: duckdb\npath: .\n'
export const PEOPLE = `---
kind: destination
name: api
baseUrl: http://127.0.0.1:9
---
kind: sync
name: people
model: m0
destination: api
firstRun: skip-existing
triggers: { added: { method: POST, path: /x } }
`

/** A file may have a megabyte. */
export async function writeModels(project: ProjectFolder, version: number): Promise<void> {
  for (let index = 0; index < MODELS; index += 1)
    await project.write(
      `m${index}.yaml`,
      `kind: model\nname: m${index}\nsource: files\nprimaryKey: id\nsql: select ${version} as id -- ${PADDING}\n`,
    )
}

/**
 * Starts to apply, and kills at a moment of its first seconds: the command, if it has not ended by then, or
 * what `other` kills, after which the command may end.
 */
export async function cutApply(
  project: ProjectFolder,
  afterMs: number,
  other?: () => Promise<unknown>,
): Promise<void> {
  const child = project.start(...APPLY)
  child.stdout?.resume()
  child.stderr?.resume()
  // Its output closes once the process that does the work is gone, too: on an older Node that is a child of
  // this one.
  const ended = once(child, 'close')
  // A moment that depends on nothing is the point of these tests.
  await Promise.race([ended, sleep(afterMs)])
  if (other === undefined) child.kill('SIGKILL')
  else await other()
  await ended
}
