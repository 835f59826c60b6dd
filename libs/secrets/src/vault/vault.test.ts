import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SecretRecord } from '@sluice/contracts/document-records'
import { boundSecrets, secretsOf } from '../bound-secrets.ts'
import type { MessageLog } from '@sluice/message-log/port'
import { openTestLog, type TestLog } from '@sluice/testkit/test-log'
import { at, sharedTopics, textKey } from '@sluice/topics/topics'
import { EncryptionKeys } from './encryption-keys.ts'
import { environmentKeys } from './key-file.ts'
import { Vault } from './vault.ts'

const { signal } = new AbortController()
const options = { signal }
const VALUE = 'the-value-of-the-secret'

describe('the vault', () => {
  let log: TestLog
  const opened: Vault[] = []
  const key = EncryptionKeys.generate()

  const open = async (keyText: string = key): Promise<Vault> => {
    const keys = environmentKeys({ SLUICE_ENCRYPTION_KEY: keyText })
    const vault = await Vault.open({ ...log, keys }, options)
    opened.push(vault)
    return vault
  }
  const set = (vault: Vault, name: string, value: string, grants: string | null = null) =>
    vault.set({ kind: 'secret', name, value, grants }, options)
  const target = (): { topic: string; partition: number } => at(sharedTopics(log.prefix).secrets, 0)
  const records = async (): Promise<SecretRecord[]> =>
    (await log.read(target())).flatMap(({ record }) =>
      record?.name === 'sluice.SecretRecord' ? [record.value] : [],
    )
  const write = async (record: SecretRecord, as = `${record.kind}/${record.name}`): Promise<void> => {
    await log.append(target(), [{ key: textKey(as), value: log.io.encode('SecretRecord', record) }])
  }

  beforeEach(async () => {
    log = await openTestLog({ partitions: 0 })
  })
  afterEach(async () => {
    for (const vault of opened.splice(0)) await vault[Symbol.asyncDispose]()
    await log[Symbol.asyncDispose]()
  })

  it('gives what was set to every process, also to one at work, and no more once it is removed', async () => {
    const [one, two] = [await open(), await open()]
    await set(one, 'CRM_token', VALUE)
    await two.caughtUp(options)
    expect(two.find('crm-token')?.value).toBe(VALUE)
    await set(one, 'crm-token', 'another')
    await two.caughtUp(options)
    expect(two.find('crm-token')?.value).toBe('another')
    expect(await two.remove({ kind: 'secret', name: 'crm-token' }, options)).toBe(true)
    await one.caughtUp(options)
    expect(one.find('crm-token')).toBeNull()
    expect(await one.remove({ kind: 'secret', name: 'crm-token' }, options)).toBe(false)
    expect((await open()).find('crm-token')).toBeNull()
  })

  it('tells each value when it is set and whenever it is asked for, so that what masks it does not forget it', async () => {
    const told: string[] = []
    const keys = environmentKeys({ SLUICE_ENCRYPTION_KEY: key })
    const vault = await Vault.open({ ...log, keys, onOpened: value => told.push(value) }, options)
    opened.push(vault)
    await set(vault, 'crm', VALUE)
    for (let n = 0; n < 3; n += 1) vault.find('crm')
    expect(told).toEqual([VALUE, VALUE, VALUE, VALUE])
  })

  it('shows names, grants, times and keys, and no value', async () => {
    const vault = await open()
    await set(vault, 'b', VALUE, 'api.example.com')
    await set(vault, 'a', VALUE)
    const list = vault.list()
    expect(list).toMatchObject([
      { kind: 'secret', name: 'a', grants: null },
      {
        kind: 'secret',
        name: 'b',
        grants: 'api.example.com',
        sealedBy: EncryptionKeys.of(key, 'KEY').ids[0],
      },
    ])
    expect(JSON.stringify(list)).not.toContain(VALUE)
  })

  it('shows who set each one, also once it was sealed anew, and nobody where nobody is known', async () => {
    const [vault, byOf] = [await open(), (of: Vault) => of.list().map(({ name, by }) => [name, by])]
    const value = VALUE
    await vault.set({ kind: 'secret', name: 'a', value, by: 'ada' }, options)
    await vault.set({ kind: 'secret', name: 'b', value, by: 'bob' }, options)
    await vault.set({ kind: 'secret', name: 'c', value, by: 'bob' }, options)
    await vault.set({ kind: 'secret', name: 'c', value, by: null }, options)
    await vault.set({ kind: 'login', name: 'crm', value, by: 'ada' }, options)
    // Delivery keeps a new refresh token, and the person stays.
    await vault.set({ kind: 'login', name: 'crm', value: 'renewed', grants: null }, options)
    const all = [
      ['crm', 'ada'],
      ['a', 'ada'],
      ['b', 'bob'],
      ['c', null],
    ]
    expect(byOf(vault)).toEqual(all)
    const both = await open(`${EncryptionKeys.generate()},${key}`)
    expect(await both.reseal(options)).toBe(4)
    expect(byOf(both)).toEqual(all)
    expect(both.find('a')?.value).toBe(VALUE)
  })

  it('opens a value whatever name somebody has put beside it, and shows that name alone', async () => {
    const vault = await open()
    await vault.set({ kind: 'secret', name: 'crm', value: VALUE, by: 'ada' }, options)
    const [record] = await records()
    if (record === undefined) throw new Error('there is no record')
    await log.append(target(), [{ key: textKey('secret/crm'), value: null }])
    await write({ ...record, by: 'eve' })
    await vault.caughtUp(options)
    expect(vault.list()).toMatchObject([{ name: 'crm', by: 'eve' }])
    expect(vault.find('crm')?.value).toBe(VALUE)
  })

  it('has nothing of a value in its topic, in whatever encoding', async () => {
    await set(await open(), 'crm', VALUE)
    const all = (await log.read(target())).map(({ record }) => JSON.stringify(record)).join()
    for (const encoding of ['utf8', 'hex', 'base64'] as const)
      expect(all).not.toContain(Buffer.from(VALUE).toString(encoding).slice(0, 12))
    const [record] = await records()
    for (const encoding of ['latin1', 'hex', 'base64'] as const)
      expect(Buffer.from(record?.sealed ?? []).toString(encoding)).not.toContain(
        Buffer.from(VALUE).toString(encoding).slice(0, 6),
      )
  })

  it('gives no secret under another name, with another grant or as another version', async () => {
    const vault = await open()
    await set(vault, 'operators', VALUE, 'api.example.com')
    const [record] = await records()
    if (record === undefined) throw new Error('nothing was written')
    for (const forged of [
      { ...record, name: 'authors' },
      { ...record, grants: 'evil.example.com', version: record.version + 1 },
      { ...record, version: record.version + 2 },
    ]) {
      await write(forged)
      const reader = await open()
      expect(() => reader.find(forged.name)).toThrow(/a process without the key changed it/)
    }
  })

  it('takes over no grants that somebody without the key has written', async () => {
    const vault = await open()
    await set(vault, 'crm', VALUE, 'api.example.com')
    expect(vault.grantsOf('secret', 'crm')).toBe('api.example.com')
    const [record] = await records()
    if (record === undefined) throw new Error('nothing was written')
    await write({ ...record, grants: 'evil.example.com', version: record.version + 1 })
    await vault.caughtUp(options)
    expect(() => vault.grantsOf('secret', 'crm')).toThrow(
      /a process without the key changed it: set it again, with --for/,
    )
    // As a version that is known already, too: after a removal it counts.
    await log.append(target(), [{ key: textKey('secret/crm'), value: null }])
    await write({ ...record, grants: 'evil.example.com' })
    await vault.caughtUp(options)
    expect(() => vault.grantsOf('secret', 'crm')).toThrow(/a process without the key/)
    await set(vault, 'crm', VALUE, 'api.example.com')
    expect(vault.grantsOf('secret', 'crm')).toBe('api.example.com')
  })

  it('can be set again, sealed anew and emptied, whatever somebody wrote into its topic', async () => {
    const vault = await open()
    await set(vault, 'crm', VALUE)
    const [record] = await records()
    if (record === undefined) throw new Error('nothing was written')
    await write({ ...record, version: Number.MAX_SAFE_INTEGER - 1 })
    for (const name of ['a b', 'A', 'x-for', '']) await write({ ...record, name, sealedBy: 'of others' })
    await write({ ...record, kind: 'mine', sealedBy: 'of others' })
    await vault.caughtUp(options)
    await set(vault, 'crm', 'another')
    expect(vault.find('crm')?.value).toBe('another')
    expect((await open()).find('crm')?.value).toBe('another')
    expect(vault.list().map(({ name }) => name)).toEqual(['crm'])
    expect(await vault.reseal(options)).toBe(0)
    expect(await vault.remove({ kind: 'secret', name: 'crm' }, options)).toBe(true)
  })

  it('does not go back to an earlier version, whoever writes its record again', async () => {
    const vault = await open()
    await set(vault, 'crm', 'old')
    const [old] = await records()
    await set(vault, 'crm', 'new')
    if (old !== undefined) await write(old)
    await vault.caughtUp(options)
    expect(vault.find('crm')?.value).toBe('new')
  })

  it('passes over records that stand under the key of another name', async () => {
    const vault = await open()
    await set(vault, 'one', VALUE)
    const [record] = await records()
    if (record !== undefined) await write(record, 'secret/two')
    await vault.caughtUp(options)
    expect(vault.find('two')).toBeNull()
  })

  it('says which key is missing, of that secret alone', async () => {
    await set(await open(), 'crm', VALUE)
    const other = EncryptionKeys.generate()
    const without = await open(other)
    expect(() => without.find('crm')).toThrow(
      /The secret `crm` is in the vault and cannot be read here\. .*with the key/,
    )
    await set(without, 'second', 'readable')
    expect(without.find('second')?.value).toBe('readable')
  })

  it('seals everything with the first key again, so that the old key may go', async () => {
    const old = await open()
    await set(old, 'crm', VALUE, 'api.example.com')
    await old.set({ kind: 'login', name: 'crm', value: 'a login', grants: null }, options)
    const next = EncryptionKeys.generate()
    const both = await open(`${next},${key}`)
    expect(await both.reseal(options)).toBe(2)
    expect(await both.reseal(options)).toBe(0)
    const fresh = await open(next)
    expect(fresh.find('crm')).toMatchObject({ value: VALUE, grants: [{ host: 'api.example.com' }] })
    expect(fresh.login('crm')?.value).toBe('a login')
  })

  it('seals no older value over one that somebody sets meanwhile', async () => {
    const old = await open()
    await set(old, 'crm', VALUE)
    let meanwhile = (): Promise<unknown> => set(old, 'crm', 'the newer value')
    const beside: MessageLog = new Proxy(log.log, {
      get(of, name) {
        const own: unknown = Reflect.get(of, name)
        if (typeof own !== 'function') return own
        if (name !== 'openWriter') return (...given: unknown[]): unknown => Reflect.apply(own, of, given)
        return async (...given: unknown[]): Promise<unknown> => {
          const first = meanwhile
          meanwhile = () => Promise.resolve()
          await first()
          const answer: unknown = Reflect.apply(own, of, given)
          return await answer
        }
      },
    })
    const keys = environmentKeys({ SLUICE_ENCRYPTION_KEY: `${EncryptionKeys.generate()},${key}` })
    const both = await Vault.open({ ...log, log: beside, keys }, options)
    opened.push(both)
    expect(await both.reseal(options)).toBe(1)
    expect(both.find('crm')?.value).toBe('the newer value')
  })

  it('lets one of two writers of the same secret win, and never loses both', async () => {
    const [one, two] = [await open(), await open()]
    const results = await Promise.allSettled([set(one, 'crm', 'one'), set(two, 'crm', 'two')])
    expect(results.some(({ status }) => status === 'fulfilled')).toBe(true)
    const value = (await open()).find('crm')?.value
    results.forEach(({ status }, index) => {
      if (
        status === 'fulfilled' &&
        results.every(each => each === results[index] || each.status === 'rejected')
      )
        expect(value).toBe(index === 0 ? 'one' : 'two')
    })
    expect(['one', 'two']).toContain(value)
  })

  it('refuses names, grants and values that are none, before it writes', async () => {
    const vault = await open()
    for (const name of ['', '-a', 'a-for', 'a_file', 'ä', 'a b', 'a/b'])
      await expect(set(vault, name, VALUE), name).rejects.toThrow('is no name of a secret')
    await expect(set(vault, 'a', VALUE, 'https://x')).rejects.toThrow(/is no grant/)
    await expect(set(vault, 'a', 'x'.repeat(10_000_001))).rejects.toThrow('at most 10000000 bytes')
    expect(await records()).toEqual([])
  })

  it('has a limit, for those who set secrets and for what somebody wrote into its topic', async () => {
    const vault = await open()
    await set(vault, 'mine', VALUE)
    const large = 'x'.repeat(10_000_000)
    for (let n = 0; n < 6; n += 1) await set(vault, `large-${n}`, large)
    await expect(set(vault, 'large-6', large)).rejects.toThrow('The vault is full')
    await set(vault, 'large-5', large)
    const [record] = await records()
    if (record !== undefined) await write({ ...record, name: 'junk', sealed: new Uint8Array(8_000_000) })
    await vault.caughtUp(options)
    expect(vault.find('mine')?.value).toBe(VALUE)
    expect(() => vault.find('unknown')).toThrow('not all of it was read')
  })

  it('stands behind the environment, for value and grants', async () => {
    const vault = await open()
    await set(vault, 'crm', 'kept', 'kept.example.com')
    await set(vault, 'bare', 'kept')
    const use = { as: 'destination', host: 'kept.example.com', port: 443, tls: true } as const
    const env = { SLUICE_SECRET_CRM: 'from the environment' }
    expect(secretsOf(env, vault)('crm')).toBe('from the environment')
    expect(secretsOf({}, vault)('crm')).toBe('kept')
    expect(() => boundSecrets(env, 'refused', vault)('crm', use)).toThrow(/it has no grant/)
    expect(boundSecrets({}, 'refused', vault)('crm', use)).toBe('kept')
    const narrowed = { SLUICE_SECRET_CRM_FOR: 'other.example.com' }
    expect(() => boundSecrets(narrowed, 'refused', vault)('crm', use)).toThrow(/does not grant that/)
    const elsewhere = { ...use, host: 'evil.example.com' }
    expect(() => boundSecrets({}, 'allowed', vault)('crm', elsewhere)).toThrow(/keeps it for other hosts/)
    expect(() => boundSecrets({}, 'refused', vault)('bare', use)).toThrow(/keeps it for no host/)
    expect(() => boundSecrets({}, 'refused', vault)('missing', use)).toThrow(/sluice secret set missing/)
  })
})
