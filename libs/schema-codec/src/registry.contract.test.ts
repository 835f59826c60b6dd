import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { changeSchema, SCHEMAS } from '@sluice/contracts/avro/schemas'
import type { AvroRecordSchema } from '@sluice/contracts/avro/types'
import { describe, expect, inject, it } from 'vitest'
import { createRegistryCodec } from './adapters/registry.ts'
import { schemaCodecContract } from '../test/contract.ts'
import { STEPS } from '../test/compatibility.ts'
import { change } from '../test/fixture.ts'
import { RECORD_SAMPLES } from '../test/record-samples.ts'

const given = inject('registryUrl')
const url = given ?? ''
const { signal } = new AbortController()

/** The answer of Apicurio. */
const RACED = JSON.stringify({ message: "A rule named 'COMPATIBILITY' already exists.", error_code: 0 })
const ROUNDS_AT_ONCE = 3
const PROCESSES_AT_ONCE = 8

let subjects = 0
function subject(): string {
  subjects += 1
  return `registry.${Date.now().toString(36)}.${subjects}`
}

describe.skipIf(given === null)('with a registry', () => {
  schemaCodecContract('registry', async () => ({
    // A schema that is missing here will not come later.
    open: () => createRegistryCodec({ url, missingForMs: 0 }),
    close: async () => {},
  }))

  it('sets the level BACKWARD on each subject', async () => {
    await using codec = createRegistryCodec({ url })
    const name = subject()
    await codec.encoder(name, SCHEMAS.Marker, { signal })
    expect(await (await fetch(`${url}/config/${name}`)).json()).toMatchObject({
      compatibilityLevel: 'BACKWARD',
    })
  })

  it('takes the first schemas of a subject from many processes at once, and sets its level', async () => {
    for (let round = 0; round < ROUNDS_AT_ONCE; round += 1) {
      const name = subject()
      const ids = await Promise.all(
        Array.from({ length: PROCESSES_AT_ONCE }, async (_, index) => {
          await using codec = createRegistryCodec({ url })
          const schema = index % 2 === 0 ? withColumn('text') : withColumn('json')
          return (await codec.encoder(name, schema, { signal })).schemaId
        }),
      )
      expect(new Set(ids).size).toBe(2)
      expect(await (await fetch(`${url}/config/${name}`)).json()).toMatchObject({
        compatibilityLevel: 'BACKWARD',
      })
    }
  })

  it('goes on where other processes are faster to set the level, again and again', async () => {
    await using proxy = await proxyTo(url)
    await using codec = createRegistryCodec({ url: proxy.url })
    const name = subject()
    proxy.raced = 5
    const encoder = await codec.encoder(name, SCHEMAS.Marker, { signal })
    expect(encoder.schemaId).toBeGreaterThan(0)
    expect(proxy.raced).toBe(0)
    expect(await (await fetch(`${url}/config/${name}`)).json()).toMatchObject({
      compatibilityLevel: 'BACKWARD',
    })
  })

  it('sets the level if a process died after putting the first schema', async () => {
    const name = subject()
    const body = JSON.stringify({ schema: JSON.stringify(withColumn('text')) })
    const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json' }
    await fetch(`${url}/subjects/${name}/versions`, { method: 'POST', body, headers })
    await using codec = createRegistryCodec({ url })
    await codec.encoder(name, withColumn('json'), { signal })
    expect(await (await fetch(`${url}/config/${name}`)).json()).toMatchObject({
      compatibilityLevel: 'BACKWARD',
    })
  })

  it('refuses a subject that somebody gave another level', async () => {
    const name = subject()
    await using first = createRegistryCodec({ url })
    await first.encoder(name, withColumn('text'), { signal })
    const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json' }
    await fetch(`${url}/config/${name}`, { method: 'PUT', body: '{"compatibility":"FULL"}', headers })
    await expect(first.encoder(name, withColumn('json'), { signal })).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining('FULL'),
    })
  })

  it('lets any schema follow on a subject on which an earlier version let only some', async () => {
    const name = subject()
    await using earlier = createRegistryCodec({ url })
    const { schemaId } = await earlier.encoder(name, withColumn('text'), { signal })
    await using codec = createRegistryCodec({ url })
    const other = await codec.encoder(name, withColumn('long'), { signal, compatibility: 'none' })
    expect(other.schemaId).not.toBe(schemaId)
    expect(await (await fetch(`${url}/config/${name}`)).json()).toMatchObject({ compatibilityLevel: 'NONE' })
    expect(await (await fetch(`${url}/subjects/${name}/versions`)).json()).toEqual([1, 2])
  })

  it('gives a schema a subject of its own if the registry lets nobody set levels', async () => {
    const name = subject()
    await using earlier = createRegistryCodec({ url })
    await earlier.encoder(name, withColumn('text'), { signal })
    await using proxy = await proxyTo(url)
    proxy.denied = { method: 'PUT', path: '/config/' }
    await using codec = createRegistryCodec({ url: proxy.url })
    const options = { signal, compatibility: 'none' } as const
    const other = await codec.encoder(name, withColumn('long'), options)
    const record = other.encode(change({ x: 9_007_199_254_740_993n }))
    await using reader = createRegistryCodec({ url })
    const [decoded] = await reader.decode([record], { signal })
    expect(decoded).toMatchObject({ value: { after: { x: 9_007_199_254_740_993n } } })
    await using again = createRegistryCodec({ url: proxy.url })
    expect((await again.encoder(name, withColumn('long'), options)).schemaId).toBe(other.schemaId)
    expect(await (await fetch(`${url}/subjects/${name}/versions`)).json()).toEqual([1])
  })

  it('refuses all that the registry itself refuses', async () => {
    for (const [was, becomes, follows] of STEPS) {
      const name = subject()
      const [older, newer] = [was, becomes].map(type => changeSchema([{ name: 'x', type }]))
      await using codec = createRegistryCodec({ url })
      if (older !== undefined) await codec.encoder(name, older, { signal })
      const response = await fetch(`${url}/compatibility/subjects/${name}/versions/latest`, {
        method: 'POST',
        headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
        body: JSON.stringify({ schema: JSON.stringify(newer) }),
      })
      const answer: unknown = await response.json()
      const step = `${JSON.stringify(was)} to ${JSON.stringify(becomes)}: ${JSON.stringify(answer)}`
      if (follows) expect(answer, step).toMatchObject({ is_compatible: true })
    }
  })

  it('asks once for a schema that many callers want at the same time, and never again', async () => {
    await using proxy = await proxyTo(url)
    await using codec = createRegistryCodec({ url: proxy.url })
    const name = subject()
    const encoders = Array.from({ length: 50 }, () => codec.encoder(name, SCHEMAS.Marker, { signal }))
    const [encoder] = await Promise.all(encoders)
    const asked = proxy.requests.length
    expect(asked).toBeLessThanOrEqual(6)
    await codec.encoder(name, SCHEMAS.Marker, { signal })
    expect(proxy.requests.length).toBe(asked)

    await using reader = createRegistryCodec({ url: proxy.url })
    const record = encoder?.encode(RECORD_SAMPLES.Marker) ?? new Uint8Array()
    await Promise.all(Array.from({ length: 50 }, () => reader.decode([record, record], { signal })))
    await reader.decode([record], { signal })
    expect(proxy.requests.length).toBe(asked + 1)
  })

  it('goes on when the registry was in trouble, or gone, for a moment', async () => {
    await using proxy = await proxyTo(url)
    await using codec = createRegistryCodec({ url: proxy.url })
    proxy.troubles.push('503', 'cut', '500', 'cut')
    const encoder = await codec.encoder(subject(), SCHEMAS.Marker, { signal })
    expect(proxy.troubles).toEqual([])
    expect(encoder.schemaId).toBeGreaterThan(0)
  })

  it('waits a little for a schema that the registry does not have yet, and no longer', async () => {
    await using proxy = await proxyTo(url)
    await using writer = createRegistryCodec({ url: proxy.url })
    const encoder = await writer.encoder(subject(), SCHEMAS.Marker, { signal })
    const record = encoder.encode(RECORD_SAMPLES.Marker)
    proxy.troubles.push('404', '404', '404')
    await using reader = createRegistryCodec({ url: proxy.url })
    expect(await reader.decode([record], { signal })).toMatchObject([{ name: 'sluice.Marker' }])
    expect(proxy.troubles).toEqual([])

    proxy.troubles.push('404', '404', '404', '404')
    await using hasty = createRegistryCodec({ url: proxy.url, missingForMs: 300 })
    await expect(hasty.decode([record], { signal })).rejects.toMatchObject({ code: 'corrupt' })
    expect(proxy.troubles.length).toBeGreaterThan(0)
  })

  it('takes a schema of another program, which is no Avro, for a corrupt record', async () => {
    const schema = JSON.stringify({ type: 'object', properties: { run: { type: 'string' } } })
    const registered = await fetch(`${url}/subjects/${subject()}/versions`, {
      method: 'POST',
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: JSON.stringify({ schemaType: 'JSON', schema }),
    })
    const { id } = (await registered.json()) as { id: number }
    const record = Buffer.alloc(10)
    record.writeUInt32BE(id, 1)
    await using reader = createRegistryCodec({ url })
    await expect(reader.decode([record], { signal })).rejects.toMatchObject({ code: 'corrupt' })
  })

  it('waits for a few missing schemas only, however many the records of others name', async () => {
    await using reader = createRegistryCodec({ url, missingForMs: 300 })
    const began = performance.now()
    for (let id = 0; id < 30; id += 1) {
      const record = Buffer.alloc(10)
      record.writeUInt32BE(2_000_000_000 + id, 1)
      await expect(reader.decode([record], { signal })).rejects.toMatchObject({ code: 'corrupt' })
    }
    expect(performance.now() - began).toBeLessThan(30 * 300)
  })

  it('sends user and password of the URL, and keeps them out of errors', async () => {
    await using proxy = await proxyTo(url)
    const { host } = new URL(proxy.url)
    await using codec = createRegistryCodec({ url: proxy.url.replace('http://', 'http://me%40x:p%C3%A4ss@') })
    await codec.encoder(subject(), SCHEMAS.Marker, { signal })
    const expected = `Basic ${Buffer.from('me@x:päss').toString('base64')}`
    expect(new Set(proxy.requests.map(({ headers }) => headers.authorization))).toEqual(new Set([expected]))
    proxy.troubles.push('401')
    const denied: unknown = await codec
      .encoder(subject(), SCHEMAS.Marker, { signal })
      .catch((error: unknown) => error)
    expect(denied).toMatchObject({ code: 'config', message: expect.stringContaining(host) })
    expect(everyText(denied)).not.toMatch(/p(ä|%C3%A4)ss|cMOkc3M/)
  })
})

describe('without a registry', () => {
  it('is unreachable in bounded time, naming the address', async () => {
    await using codec = createRegistryCodec({ url: 'http://user:secret@127.0.0.1:1/base/', deadlineMs: 300 })
    const failed: unknown = await codec
      .encoder('s', SCHEMAS.Marker, { signal })
      .catch((error: unknown) => error)
    expect(failed).toMatchObject({
      code: 'unreachable',
      retryable: true,
      message: expect.stringContaining('http://127.0.0.1:1/base'),
    })
    expect(everyText(failed)).not.toContain('secret')
    const unknown = Buffer.from('000000000900', 'hex')
    await expect(codec.decode([unknown], { signal })).rejects.toMatchObject({ code: 'unreachable' })
  })

  it('is unreachable in bounded time if the address takes connections and never answers', async () => {
    const server = createTcpServer(() => undefined).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? String(address.port) : ''
    const options = { url: `http://127.0.0.1:${port}`, requestTimeoutMs: 100, deadlineMs: 300 }
    await using codec = createRegistryCodec(options)
    await expect(codec.encoder('s', SCHEMAS.Marker, { signal })).rejects.toMatchObject({
      code: 'unreachable',
    })

    const controller = new AbortController()
    await using patient = createRegistryCodec({ url: options.url })
    const stopped = patient.encoder('s', SCHEMAS.Marker, { signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(stopped).rejects.toThrow('enough')
    server.close()
  })

  it('refuses a wrong URL', () => {
    expect(() => createRegistryCodec({ url: 'registry' })).toThrow(
      expect.objectContaining({ code: 'config' }),
    )
    expect(() => createRegistryCodec({ url: 'kafka://registry' })).toThrow(/http:/)
  })
})

function withColumn(kind: 'text' | 'json' | 'long'): AvroRecordSchema {
  return changeSchema([{ name: 'x', type: { kind } }])
}

/** All texts that an error would show in a log, causes included. */
function everyText(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return [error.stack, JSON.stringify(error), everyText(error.cause)].join('\n')
}

interface Proxy extends AsyncDisposable {
  readonly url: string
  readonly requests: readonly IncomingMessage[]
  /** The proxy does this with the next requests instead of passing them on: a status, or `cut`. */
  readonly troubles: string[]
  /** Requests that are answered with 403. */
  denied: { readonly method: string; readonly path: string } | null
  /** So many requests for a level are answered as if another process had just set it. */
  raced: number
}

/** Passes requests on to the registry. */
async function proxyTo(target: string): Promise<Proxy> {
  const requests: IncomingMessage[] = []
  const troubles: string[] = []
  const { origin, pathname } = new URL(target)
  const proxy = {
    url: '',
    requests,
    troubles,
    denied: null as Proxy['denied'],
    raced: 0,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  const server = createServer((incoming: IncomingMessage, answer: ServerResponse) => {
    requests.push(incoming)
    const { denied } = proxy
    if (
      denied !== null &&
      incoming.method === denied.method &&
      incoming.url?.includes(denied.path) === true
    ) {
      answer.writeHead(403).end('not by you')
      return
    }
    if (proxy.raced > 0 && incoming.method === 'PUT' && incoming.url?.includes('/config/') === true) {
      proxy.raced -= 1
      answer.writeHead(409, { 'content-type': 'application/json' }).end(RACED)
      return
    }
    const trouble = troubles.shift()
    if (trouble === 'cut') {
      incoming.destroy()
      return
    }
    if (trouble !== undefined) {
      answer.writeHead(Number(trouble)).end('trouble')
      return
    }
    const { authorization: _, ...headers } = incoming.headers
    const onward = request(
      `${origin}${incoming.url ?? ''}`,
      { method: incoming.method, headers },
      response => {
        answer.writeHead(response.statusCode ?? 500, response.headers)
        response.pipe(answer)
      },
    )
    incoming.pipe(onward)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? String(address.port) : ''
  proxy.url = `http://127.0.0.1:${port}${pathname}`
  return proxy
}
