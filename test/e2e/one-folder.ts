/** A folder with two syncs, in which several commands run at once. */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import type { ChildProcess } from 'node:child_process'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { peopleCsv, peopleYaml } from './people-project.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

/** Two syncs, the first of which has that time-out. */
export function sharedYaml(timeout = '30s'): string {
  return (
    peopleYaml({ sync: `timeout: ${timeout}` }) + OTHERS.replace('triggers', `timeout: ${timeout}\ntriggers`)
  )
}

export const OTHERS = `
---
kind: sync
name: others
model: people
destination: api
triggers: { added: { method: POST, path: '/others/{{ id }}' } }
`

export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface SharedFolder extends AsyncDisposable {
  readonly api: ScriptedApi
  readonly project: ProjectFolder
  /** The socket of the process that has the folder open. */
  readonly socket: string
  /** Requests whose path has this text wait until `release`. */
  hold(url: string): void
  release(): void
}

export async function sharedFolder(): Promise<SharedFolder> {
  const api = await startScriptedApi()
  const files = { 'project.yaml': sharedYaml(), 'people.csv': peopleCsv('1,Ann', '2,Bob') }
  const project = await projectFolder({ files, env: { API_URL: api.url }, here: true })
  const gate = Promise.withResolvers<object>()
  return {
    api,
    project,
    socket: join(project.dir, '.sluice/api.sock'),
    hold: url => api.on({ url }, () => gate.promise),
    release: () => gate.resolve({}),
    async [Symbol.asyncDispose]() {
      gate.resolve({})
      await project[Symbol.asyncDispose]()
      await api[Symbol.asyncDispose]()
    },
  }
}

export function ending(child: ChildProcess): Promise<Ended> {
  let out = ''
  let err = ''
  child.stdout?.on('data', (part: Buffer) => (out += part.toString()))
  child.stderr?.on('data', (part: Buffer) => (err += part.toString()))
  return once(child, 'close').then(([code]: unknown[]) => ({
    code: typeof code === 'number' ? code : null,
    out,
    err,
  }))
}

export interface ServedFolder extends AsyncDisposable {
  readonly project: ProjectFolder
  readonly url: string
  readonly server: ChildProcess
}

/**
 * A folder that `sluice up` serves in a process of its own. `env` is added to its environment, and
 * `destination` to the destination; `more` are further documents.
 */
export async function servedFolder(
  api: ScriptedApi,
  env: { readonly [name: string]: string },
  destination = '',
  more = '',
): Promise<ServedFolder> {
  const files = {
    'project.yaml': peopleYaml({ destination }) + more,
    'people.csv': peopleCsv('1,Ann', '2,Bob'),
  }
  const project = await projectFolder({ files, env: { API_URL: api.url, SLUICE_PORT: '0', ...env } })
  const server = project.start('up', '--json')
  const ended = ending(server)
  if (server.stdout === null) throw new Error('the server has no output')
  const [line]: unknown[] = await once(createInterface({ input: server.stdout }), 'line')
  const { url }: { url: string } = JSON.parse(String(line))
  return {
    project,
    url,
    server,
    async [Symbol.asyncDispose]() {
      server.kill('SIGTERM')
      await ended
      await project[Symbol.asyncDispose]()
    },
  }
}
