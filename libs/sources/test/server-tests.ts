/** The part that the tests of sources on database servers share. */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { ModelSpec, SourceSpec } from '@sluice/contracts/resources'
import { TcpProxy } from '@sluice/testkit/tcp-proxy'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { errorOf, modelOf } from './contract.ts'
import type { Source } from '../src/port.ts'

const foundError = z.object({ code: z.string().nullable(), message: z.string() })
const CHILD = fileURLToPath(new URL('extract-child.ts', import.meta.url))

/** The value of each secret in these tests: its name, but for one password that is wrong. */
export const secretOf = (name: string): string => (name === 'wrong-password' ? 'hush-guessed' : name)

/**
 * Extracts in a process whose files cannot grow beyond a size, which acts like a full disk. Resolves to the
 * error that the process met.
 */
async function extractOnFullDisk(of: {
  readonly source: SourceSpec
  readonly model: ModelSpec
  readonly file: string
  readonly limitKb: number
}): Promise<{ readonly code: string | null; readonly message: string }> {
  const child = spawn('bash', ['-c', `ulimit -f ${of.limitKb}; exec "$0" "$1"`, process.execPath, CHILD], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  child.stdin.end(JSON.stringify(of))
  const [printed] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return foundError.parse(JSON.parse(printed))
}

/** A server that a test can make wait. */
export interface TestedServer {
  readonly product: string
  /** Its address, with a user that may log in. */
  readonly address: URL
  /** Opens a source on it. `url` and the other fields replace the default ones. */
  open(fields?: { readonly url?: string; readonly password?: string; readonly timeout?: number }): Source
  specOf(): SourceSpec
  /** SQL of a query that sends this many rows, about 100 bytes each, and then waits. */
  waitingAfter(rows: number): string
  /** SQL of a query that gives this many rows, about 130 bytes each. */
  manyRows(rows: number): string
  /** Resolves once a query that contains this text waits, with the server's number for its connection. */
  untilItWaits(mark: string): Promise<number>
  /** Resolves once the server runs no query that contains this text. */
  untilGone(mark: string): Promise<void>
  /** Ends that connection as an administrator does. */
  endConnection(id: number): Promise<unknown>
  /** The server's message to that connection. Empty if it sends none. */
  readonly endedSays: string
  /** A login with a password, and a table that it may not read. */
  readonly stranger: { readonly url: string; readonly password: string; readonly table: string }
}

/** Tests of connections that are lost, ended, hanging, aborted or refused, and of a full disk. */
export function serverConnectionTests(
  server: TestedServer,
  place: { readonly folder: () => string; readonly file: () => string },
): void {
  const { product, address, waitingAfter, untilItWaits, untilGone } = server
  const { folder, file } = place
  const { signal } = new AbortController()

  describe('a connection', () => {
    let proxy: TcpProxy
    beforeAll(async () => {
      proxy = await TcpProxy.start({ target: { host: address.hostname, port: Number(address.port) } })
    })
    afterAll(() => proxy[Symbol.asyncDispose]())
    afterEach(() => proxy.set({ kind: 'pass' }))
    const throughProxy = (fields: Parameters<TestedServer['open']>[0] = {}) => {
      const through = new URL(address)
      through.port = String(proxy.port)
      return server.open({ url: through.href, ...fields })
    }

    it.each([1, 60_000])('that is lost after %i rows fails the query, and leaves no file', async rows => {
      const mark = randomUUID()
      const sql = `${waitingAfter(rows)} /* ${mark} */`
      const extracting = errorOf(throughProxy().extract(modelOf(sql), { file: file(), signal }))
      await untilItWaits(mark)
      proxy.cut()
      const error = await extracting
      expect(error).toMatchObject({ code: 'unreachable', retryable: true })
      expect(error.message).toContain(`the connection to ${product} at 127.0.0.1:${proxy.port} was lost`)
      expect(readdirSync(folder())).toEqual([])
      await untilGone(mark)
    })

    it('that the server ends fails the query', async () => {
      const mark = randomUUID()
      const extracting = errorOf(
        server.open().extract(modelOf(`${waitingAfter(60_000)} /* ${mark} */`), { file: file(), signal }),
      )
      await server.endConnection(await untilItWaits(mark))
      const error = await extracting
      expect(error).toMatchObject({ code: 'unreachable', retryable: true })
      expect(error.message).toContain(server.endedSays)
      expect(readdirSync(folder())).toEqual([])
    })

    it.each(['pass', 'swallow'] as const)(
      'whose query hangs ends with the time-out of the source (the answers %s)',
      async kind => {
        const mark = randomUUID()
        const source = throughProxy({ timeout: 700 })
        const sql = `${waitingAfter(60_000)} /* ${mark} */`
        const extracting = errorOf(source.extract(modelOf(sql), { file: file(), signal }))
        await untilItWaits(mark)
        await proxy.set({ kind })
        const error = await extracting
        expect(error).toMatchObject({ code: 'query', retryable: true })
        expect(error.message).toBe(
          'The query of model customers took longer than the time-out of source crm, 700 ms.',
        )
        expect(readdirSync(folder())).toEqual([])
        await proxy.set({ kind: 'pass' })
        await untilGone(mark)
      },
    )

    it.each([1, 60_000])('is ended on the server too when the caller aborts after %i rows', async rows => {
      const mark = randomUUID()
      const controller = new AbortController()
      const extracting = server.open().extract(modelOf(`${waitingAfter(rows)} /* ${mark} */`), {
        file: file(),
        signal: controller.signal,
      })
      const ended = expect(extracting).rejects.toThrow('enough')
      await untilItWaits(mark)
      controller.abort(new Error('enough'))
      await ended
      expect(readdirSync(folder())).toEqual([])
      await untilGone(mark)
    })

    it('with a wrong password is refused, and the message names the secret to set', async () => {
      const { url } = server.stranger
      const source = server.open({ url, password: '${secret:wrong-password}' })
      const error = await errorOf(source.describe(modelOf('SELECT 1 AS id'), { signal }))
      expect(error.code).toBe('config')
      expect(error.message).toContain(`Source crm: ${product} at ${address.host} refuses the login: `)
      expect(error.message).toMatch(/Check the user in `url`, and set the secret wrong-password anew$/)
      expect(`${error.message} ${error.stack ?? ''}`).not.toContain('hush-guessed')
    })

    it('that lacks the right to a table fails the query, and the message names the right', async () => {
      const { url, password, table } = server.stranger
      const { sql: _, ...model } = modelOf('')
      const source = server.open({ url, password: `\${secret:${password}}` })
      const error = await errorOf(source.extract({ ...model, table }, { file: file(), signal }))
      expect(error).toMatchObject({ code: 'query', retryable: false, details: [{ field: 'table' }] })
      expect(error.message).toMatch(/denied.*; let an administrator grant .* \(GRANT SELECT\)$/)
      expect(error.message).toContain(table)
      expect(readdirSync(folder())).toEqual([])
    })

    it('that refuses a login shows no secret part of its URL', async () => {
      const { protocol, username, host, pathname } = address
      const user = `${protocol}//\${secret:hush-user}@${host}${pathname}`
      const database = `${protocol}//${username}@${host}/\${secret:hush%2Ddata}`
      for (const url of [user, database]) {
        const error = await errorOf(server.open({ url }).describe(modelOf('SELECT 1 AS id'), { signal }))
        expect(error.code).toBe('config')
        expect(error.message).toContain('***')
        expect(error.message).not.toContain('hush')
      }
    })

    it('that cannot be opened names host and port, and no password', async () => {
      await proxy.set({ kind: 'refuse' })
      const error = await errorOf(
        throughProxy({ password: '${secret:hush-hush}' }).describe(modelOf('SELECT 1 AS id'), { signal }),
      )
      expect(error).toMatchObject({ code: 'unreachable', retryable: true })
      expect(error.message).toMatch(
        new RegExp(
          `^Source crm: cannot connect to ${product} at 127\\.0\\.0\\.1:${proxy.port}: .*ECONNREFUSED`,
        ),
      )
      expect(`${error.message} ${error.stack ?? ''} ${JSON.stringify(error)}`).not.toContain('hush-hush')
    })
  })

  it('leaves no file behind on a full disk, and says so', async () => {
    for (const [limitKb, rows] of [
      [1, 1000],
      [2000, 100_000],
    ] as const) {
      const model = modelOf(server.manyRows(rows))
      const error = await extractOnFullDisk({ source: server.specOf(), model, file: file(), limitKb })
      expect(error.code).toBe('disk')
      expect(error.message).toContain('Make room on that disk')
      expect(readdirSync(folder())).toEqual([])
    }
  })
}
