/** The control that a command opens, for the promises that it makes wherever the syncs run. */
import { openControl } from '@sluice/cli/compose'
import type { ControlHarness } from '@sluice/control/test/contract'
import { createLogger } from '@sluice/runtime/logger'
import { EncryptionKeys } from '@sluice/secrets/vault/encryption-keys'
import { peopleYaml } from './people-project.ts'
import { projectFolder } from './project-folder.ts'

const TRIGGERS = `
  added: { method: PUT, path: '/people/{{ id }}' }
  removed: { method: DELETE, path: '/people/{{ id }}' }`

type Env = { readonly [name: string]: string }

/**
 * A folder and the control of it. `reach` may start what the command is to speak to, and gives the variables
 * that lead there.
 */
export async function controlHarness(
  apiUrl: string,
  reach: (dir: string, env: Env, opening: AsyncDisposableStack) => Promise<Env>,
): Promise<ControlHarness> {
  await using opening = new AsyncDisposableStack()
  const env = { API_URL: apiUrl, SLUICE_ENCRYPTION_KEY: EncryptionKeys.generate() }
  const yaml = peopleYaml({ sql: `select id from 'people.csv'`, triggers: TRIGGERS })
  const project = opening.use(
    await projectFolder({ files: { 'project.yaml': yaml, 'people.csv': 'id\n' }, env }),
  )
  const reached = await reach(project.dir, env, opening)
  const control = opening.use(
    await openControl({
      dir: project.dir,
      env: { ...env, ...reached },
      logger: createLogger({ name: 'test', level: 'silent' }),
      signal: new AbortController().signal,
      tell: () => undefined,
    }),
  )
  const opened = opening.move()
  return {
    control,
    setRows: (...ids) => project.write('people.csv', ['id', ...ids, ''].join('\n')),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
