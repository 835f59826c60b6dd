/** A folder with two syncs, in which several commands run at once. */
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import type { ChildProcess } from 'node:child_process'
import { openSentRequests } from '@sluice/embedded/sent-requests'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { peopleCsv, peopleYaml } from './people-project.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

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
  /** Says that no request of a killed process is on its way any more, so that no run waits for one. */
  nothingIsUnderWay(): Promise<void>
}

export async function sharedFolder(): Promise<SharedFolder> {
  const api = await startScriptedApi()
  const files = { 'project.yaml': peopleYaml() + OTHERS, 'people.csv': peopleCsv('1,Ann', '2,Bob') }
  const project = await projectFolder({ files, env: { API_URL: api.url }, here: true })
  const gate = Promise.withResolvers<object>()
  return {
    api,
    project,
    socket: join(project.dir, '.sluice/api.sock'),
    hold: url => api.on({ url }, () => gate.promise),
    release: () => gate.resolve({}),
    async nothingIsUnderWay() {
      const file = join(project.dir, '.sluice/under-way')
      await rm(file)
      openSentRequests({ file, isNew: true })[Symbol.dispose]()
    },
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
