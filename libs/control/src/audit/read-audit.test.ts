import { expect, it } from 'vitest'
import type { Command } from '@sluice/contracts/records'
import { changeResources } from '@sluice/resources/change-resources'
import { openTestLog } from '@sluice/testkit/test-log'
import { at, homePartition, sharedTopics, textKey } from '@sluice/topics/topics'
import { EncryptionKeys } from '@sluice/secrets/vault/encryption-keys'
import { environmentKeys } from '@sluice/secrets/vault/key-file'
import { Vault } from '@sluice/secrets/vault/vault'
import { Audit } from './read-audit.ts'

const { signal } = new AbortController()
const KEYS = environmentKeys({ SLUICE_ENCRYPTION_KEY: EncryptionKeys.generate() })
const ALL = { limit: 50, after: undefined }

type Log = Awaited<ReturnType<typeof openTestLog>>

const source = (path: string): string =>
  JSON.stringify({ kind: 'source', name: 'shop', type: 'duckdb', path })

async function change(log: Log, spec: string | null, by: string): Promise<void> {
  const next = spec === null ? null : { project: '', spec }
  await changeResources(log, () => [{ kind: 'source', name: 'shop', next }], { by, signal })
}

async function ask(log: Log, of: Partial<Command>): Promise<void> {
  const { io, prefix } = log
  const command: Command = {
    ...{ id: 'A', kind: 'run', sync: 'people', cause: 'manual', run: null, at: Date.now(), scope: null },
    ...of,
  }
  const target = at(sharedTopics(prefix).commands, homePartition(command.sync))
  const record = { key: textKey(command.sync), value: io.encode('Command', command) }
  await log.log.append(target, [record], { signal })
}

it('tells who changed and asked what, the newest first, page by page', async () => {
  await using log = await openTestLog({ partitions: 0 })
  await change(log, source('/a'), 'ann')
  await change(log, source('/b'), 'bob')
  await change(log, null, 'ann')
  const now = Date.now() + 1_000
  await ask(log, { id: 'A', at: now, by: 'ann' })
  await ask(log, { id: 'B', at: now + 1, by: 'bob', kind: 'cancel', run: 'A' })
  await ask(log, { id: 'C', at: now + 1, by: 'ann', sync: 'orders', cause: 'resync' })
  const all = await new Audit(log).page(ALL, signal)
  expect(all.next).toBeNull()
  const told = all.entries.map(({ by, action, name, version, fields, run }) => [
    ...[by, action, name, version],
    ...[fields.join(), run],
  ])
  expect(told).toEqual([
    ['ann', 'resync', 'orders', null, '', 'C'],
    ['bob', 'cancel', 'people', null, '', 'A'],
    ['ann', 'run', 'people', null, '', 'A'],
    ['ann', 'delete', 'shop', 3, '', null],
    ['bob', 'update', 'shop', 2, 'path', null],
    ['ann', 'create', 'shop', 1, '', null],
  ])
  const oneByOne: string[] = []
  for (let after: string | undefined; ;) {
    const { entries, next } = await new Audit(log).page({ limit: 1, after }, signal)
    oneByOne.push(...entries.map(({ action }) => action))
    if (next === null) break
    after = next
  }
  expect(oneByOne).toEqual(['resync', 'cancel', 'run', 'delete', 'update', 'create'])
  const bobs = await new Audit(log).page({ ...ALL, by: 'bob' }, signal)
  expect(bobs.entries.map(({ action }) => action)).toEqual(['cancel', 'update'])
  const people = await new Audit(log).page({ ...ALL, name: 'people', limit: 1 }, signal)
  expect(people).toMatchObject({ entries: [{ action: 'cancel' }] })
  expect(people.next).not.toBeNull()
  await expect(new Audit(log).page({ ...ALL, after: 'nonsense' }, signal)).rejects.toMatchObject({
    code: 'usage',
  })
})

it('tells who changed the vault, with what was set before such changes were kept, and no value', async () => {
  await using log = await openTestLog({ partitions: 0 })
  await using vault = await Vault.open({ ...log, keys: KEYS }, { signal })
  await vault.set({ kind: 'secret', name: 'crm-key', value: 'first-value', by: 'ann' }, { signal })
  await vault.set({ kind: 'secret', name: 'crm-key', value: 'second-value', by: 'bob' }, { signal })
  await vault.set({ kind: 'login', name: 'crm', value: 'a-token', by: 'ann' }, { signal })
  // Sluice refreshes a login: nobody did anything.
  await vault.set({ kind: 'login', name: 'crm', value: 'a-newer-token' }, { signal })
  await vault.remove({ kind: 'secret', name: 'crm-key', by: 'eve' }, { signal })
  const told = async () =>
    (await new Audit(log).page(ALL, signal)).entries.map(({ by, action, kind, name }) => [
      by,
      action,
      kind,
      name,
    ])
  const all = await told()
  expect(all).toHaveLength(4)
  expect(all).toEqual(
    expect.arrayContaining([
      ['eve', 'remove', 'secret', 'crm-key'],
      ['ann', 'set', 'login', 'crm'],
      ['bob', 'set', 'secret', 'crm-key'],
      ['ann', 'set', 'secret', 'crm-key'],
    ]),
  )
  const eves = await new Audit(log).page({ ...ALL, by: 'eve', name: 'crm-key' }, signal)
  expect(eves.entries.map(({ action }) => action)).toEqual(['remove'])
  expect(vault.list().map(({ name }) => name)).toEqual(['crm'])

  // A version that kept no changes wrote the secret alone.
  const value = { kind: 'secret', name: 'old', version: 7, grants: null, since: 5, by: 'dan' } as const
  const record = { ...value, sealedBy: 'k', sealed: new Uint8Array(1) }
  const target = at(sharedTopics(log.prefix).secrets, 0)
  await log.append(target, [{ key: textKey('secret/old'), value: log.io.encode('SecretRecord', record) }])
  expect((await told()).at(-1)).toEqual(['dan', 'set', 'secret', 'old'])
})

it('keeps the last changes of each secret, however often it is set', async () => {
  await using log = await openTestLog({ partitions: 0 })
  await using vault = await Vault.open({ ...log, keys: KEYS }, { signal })
  for (let change = 0; change < 55; change += 1)
    await vault.set({ kind: 'secret', name: 'k', value: `v${change}`, by: `p${change}` }, { signal })
  const { entries } = await new Audit(log).page({ ...ALL, limit: 1000 }, signal)
  expect(entries).toHaveLength(50)
  expect(entries.map(({ by }) => by)).not.toContain('p4')
})
