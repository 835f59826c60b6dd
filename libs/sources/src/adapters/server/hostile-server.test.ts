/** A server answers that wants to end this process, or to take its memory. */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { isSluiceError } from '@sluice/contracts/errors'
import type { ModelSpec, MysqlSourceSpec, PostgresSourceSpec } from '@sluice/contracts/resources'
import { randomOf } from '@sluice/testkit/seeded-random'
import { describe, expect, it } from 'vitest'
import { openSource } from '../open-source.ts'

const MODEL: ModelSpec = { kind: 'model', name: 'people', source: 'db', sql: 'select 1', primaryKey: 'id' }
const signal = AbortSignal.timeout(60_000)

type Type = 'postgres' | 'mysql'

/** Returns the code of the error of a query on a server that does this with each connection. */
async function outcomeAt(type: Type, serve: (socket: Socket) => void): Promise<string> {
  const server = createServer(socket => {
    socket.on('error', () => undefined)
    serve(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `${type}://reader@127.0.0.1:${(server.address() as AddressInfo).port}/shop`
  const spec = { kind: 'source', name: 'db', type, url } as PostgresSourceSpec | MysqlSourceSpec
  await using source = await openSource(spec, { secretFor: () => 'p4ssword' })
  const error: unknown = await source
    .describe(MODEL, { signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]) })
    .catch((thrown: unknown) => thrown)
  server.close()
  return isSluiceError(error) ? error.code : String(error)
}

/** Says these at once, and each of the others after a message of the client; then it ends the connection. */
function sayInTurn(socket: Socket, first: readonly Buffer[], then: readonly Buffer[]): void {
  const rest = [...then]
  for (const message of first) socket.write(message)
  if (rest.length === 0) socket.end()
  socket.on('data', () => {
    const next = rest.shift()
    if (next !== undefined) socket.write(next)
    if (rest.length === 0) socket.end()
  })
}

/** Says `pieces` in turn for as long as somebody takes them, and at most so many bytes. */
function sayForEver(socket: Socket, piece: () => Buffer, most: number): { readonly taken: () => number } {
  const more = (): void => {
    while (!socket.destroyed && socket.bytesWritten < most && socket.write(piece())) continue
  }
  socket.on('drain', more)
  more()
  return { taken: () => socket.bytesWritten }
}

const MEGABYTE = Buffer.alloc(1_000_000, 'A')
const MAX_SAID = 400_000_000
/** The bytes on their way, and a message as large as a row may be. */
const MAX_TAKEN = 150_000_000

/** A message of PostgreSQL, with a length that may be a lie. */
function message(letter: string, body: Buffer, length = body.length + 4): Buffer {
  const head = Buffer.alloc(5)
  head.write(letter)
  head.writeUInt32BE(length, 1)
  return Buffer.concat([head, body])
}

/** A packet of MySQL. */
function packet(body: Buffer, sequence: number): Buffer {
  const head = Buffer.alloc(4)
  head.writeUIntLE(body.length, 0, 3)
  head[3] = sequence % 256
  return Buffer.concat([head, body])
}

const LOGGED_IN = Buffer.concat([message('R', Buffer.alloc(4)), message('Z', Buffer.from('I'))])
const HELLO = packet(
  Buffer.from(
    '0a382e302e333600080000003a1a2b3c4d5e6f7000fff7ff0200dfff15000000000000000000001122334455667788990a0b0c00',
    'hex',
  ),
  0,
)

describe('a PostgreSQL server', () => {
  it.each(['R', 'K', 'S', 'E', 'N', 'T', 'D', 'C', 'Z', 't', 'G', 'A', 'd'])(
    'that cuts a message %s short ends the query alone',
    async letter => {
      const short = message(letter, Buffer.alloc(0))
      expect(await outcomeAt('postgres', socket => sayInTurn(socket, [], [short]))).toBe('unreachable')
      const later = (socket: Socket): void => sayInTurn(socket, [], [LOGGED_IN, short])
      expect(await outcomeAt('postgres', later)).toBe('unreachable')
    },
  )

  it.each(['N', 'D'])('does not fill the memory by a message %s without end', async letter => {
    let taken = (): number => 0
    const code = await outcomeAt('postgres', socket => {
      socket.once('data', () => {
        socket.write(message(letter, Buffer.alloc(0), 0xff_ff_ff_ff))
        ;({ taken } = sayForEver(socket, () => MEGABYTE, MAX_SAID))
      })
    })
    expect(code).toBe('unreachable')
    expect(taken()).toBeLessThan(MAX_TAKEN)
  })
})

describe('a MySQL server', () => {
  it.each(['', '00', 'ff', 'fe', 'fb', '01', '0a'])(
    'that cuts a packet %j short ends the query alone',
    async hex => {
      const short = packet(Buffer.from(hex, 'hex'), 0)
      expect(await outcomeAt('mysql', socket => sayInTurn(socket, [short], []))).toBe('unreachable')
      const later = packet(Buffer.from(hex, 'hex'), 2)
      expect(await outcomeAt('mysql', socket => sayInTurn(socket, [HELLO], [later]))).toMatch(
        /unreachable|config/,
      )
    },
  )

  it('does not fill the memory by a packet without end', async () => {
    let taken = (): number => 0
    let sequence = 0
    const part = Buffer.alloc(0xff_ff_ff, 'A')
    const code = await outcomeAt('mysql', socket => {
      ;({ taken } = sayForEver(socket, () => packet(part, sequence++), MAX_SAID))
    })
    expect(code).toBe('unreachable')
    expect(taken()).toBeLessThan(MAX_TAKEN)
  })
})

it.each(['postgres', 'mysql'] as const)(
  'a server of %s that says anything ends the query alone',
  async type => {
    for (let seed = 0; seed < 150; seed += 1) {
      const random = randomOf(seed)
      const bytes = (count: number): Buffer => Buffer.from(Array.from({ length: count }, () => random(256)))
      const letter = 'RKSENTDCZtGAd'[random(13)] ?? 'R'
      const body = Buffer.concat([bytes(random(40)), Buffer.alloc(random(3))])
      const anything = [
        type === 'postgres' ? message(letter, body) : packet(body, 2 + random(2)),
        bytes(1 + random(60)),
      ]
      const known = type === 'postgres' ? LOGGED_IN : packet(Buffer.from([0, 0, 0, 2, 0, 0, 0]), 2)
      const isGarbage = type === 'mysql' && random(3) === 0
      const first = type === 'postgres' ? [] : [isGarbage ? bytes(80) : HELLO]
      const then = Buffer.concat(random(3) === 0 ? anything : [known, ...anything])
      const outcome = await outcomeAt(type, socket => sayInTurn(socket, first, isGarbage ? [] : [then]))
      expect(outcome, `seed ${seed}`).toMatch(/^(unreachable|config|query)$/)
    }
  },
)
