/** What people ask the server to do. */
import type { RunView } from '@sluice/contracts/api'
import { call } from './client.ts'
import { queryClient } from './query-client.ts'

export interface RowChoice {
  readonly key?: string
  readonly status?: number
}

const ofSync = (sync: string, what: string): string => `/syncs/${encodeURIComponent(sync)}/${what}`
const ofRun = (id: string, what: string): string => `/runs/${encodeURIComponent(id)}/${what}`

export const runSync = (sync: string) => ask(ofSync(sync, 'runs'))
export const retryRows = (sync: string, rows: RowChoice) => ask(ofSync(sync, 'retry'), rows)
export const discardRows = (sync: string, rows: RowChoice) => ask(ofSync(sync, 'discard'), rows)
export const resync = (sync: string, as: 'added' | 'changed') => ask(ofSync(sync, 'resync'), { as })
export const resetSync = (sync: string) => ask(ofSync(sync, 'reset'))
export const approveRun = (id: string, destination?: 'same' | 'new') =>
  ask(ofRun(id, 'approve'), destination === undefined ? {} : { destination })
export const cancelRun = (id: string) => ask(ofRun(id, 'cancel'))

export async function setSecret(name: string, value: string, grants: string | undefined): Promise<void> {
  const body = { value, ...(grants === undefined ? {} : { for: grants }) }
  await call(`/secrets/${encodeURIComponent(name)}`, { method: 'PUT', body, answer: 'secretSetView' })
  await queryClient.invalidateQueries({ queryKey: ['secrets'] })
}

/** Throws with what is wrong with the files. Nothing is kept. */
export async function checkCertificate(files: { readonly [field: string]: string }): Promise<void> {
  await call('/certificates/check', { method: 'POST', body: files, answer: 'certificatesView' })
}

export async function removeSecret(kind: 'secret' | 'login', name: string): Promise<void> {
  const path = `/secrets/${encodeURIComponent(name)}`
  await call(path, { method: 'DELETE', query: { kind }, answer: 'secretRemovedView' })
  await queryClient.invalidateQueries({ queryKey: ['secrets'] })
}

async function ask(path: string, body: unknown = {}): Promise<RunView> {
  const run = await call(path, { method: 'POST', body, answer: 'runView' })
  queryClient.setQueryData(['run', run.id], run)
  await Promise.all(
    ['syncs', 'runs', 'failed'].map(key => queryClient.invalidateQueries({ queryKey: [key] })),
  )
  return run
}
