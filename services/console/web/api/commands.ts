/** Requests that change something. They also renew the queries that show it. */
import type { AnswerOf, AskedOf } from '@sluice/contracts/api/operation-shapes'
import type { AskName } from '@sluice/contracts/api/operations'
import type { ReplayView, RunView } from '@sluice/contracts/api'
import { call } from './client.ts'
import { queryClient } from './query-client.ts'

export interface RowChoice {
  readonly key?: string
  readonly status?: number
  /** The id of a group of failed rows. */
  readonly group?: string
}

/** Sends a command to a sync or a run. Resolves with the first state of the run. */
export async function ask<Name extends AskName>(name: Name, input: AskedOf<Name>): Promise<RunView> {
  const run: RunView | ReplayView = await call(name, input)
  if (!('status' in run)) throw new Error('The server answered with a dry run, and started no run.')
  queryClient.setQueryData(['run', run.id], run)
  await Promise.all(
    ['syncs', 'runs', 'failed'].map(key => queryClient.invalidateQueries({ queryKey: [key] })),
  )
  return run
}

/** Renews the queries that show secrets. */
async function secretsChanged(): Promise<void> {
  await Promise.all(['secrets', 'audit'].map(key => queryClient.invalidateQueries({ queryKey: [key] })))
}

export async function setSecret(secret: AskedOf<'setSecret'>): Promise<AnswerOf<'setSecret'>> {
  const set = await call('setSecret', secret)
  await secretsChanged()
  return set
}

export async function removeSecret(secret: AskedOf<'removeSecret'>): Promise<void> {
  await call('removeSecret', secret)
  await secretsChanged()
}

/** Makes a token of the API. Resolves with its text, which no other answer has. */
export async function makeToken(token: AskedOf<'makeToken'>): Promise<AnswerOf<'makeToken'>> {
  const made = await call('makeToken', token)
  await tokensChanged()
  return made
}

export async function revokeToken(name: string): Promise<void> {
  await call('revokeToken', { name })
  await tokensChanged()
}

/** Renews the queries that show tokens. */
async function tokensChanged(): Promise<void> {
  await Promise.all(['tokens', 'audit'].map(key => queryClient.invalidateQueries({ queryKey: [key] })))
}
