import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { Connection } from 'pg'
import { describe, expect, it } from 'vitest'
import { CopyOut } from './copy-out.ts'

function message(type: string, payload = ''): Buffer {
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeUInt32BE(Buffer.byteLength(payload) + 4, 1)
  return Buffer.concat([head, Buffer.from(payload)])
}

/** The messages of a server for three rows, with a notice between them, and then the end. */
const ROWS = [
  message('H', 'xxx'),
  message('d', '1\tAnn\n'),
  message('N', 'a notice'),
  message('d', ''),
  message('d', '2\tBob\n'),
  message('S', 'a setting'),
  message('d', `3\t${'z'.repeat(300)}\n`),
]
const END = [message('c'), message('C', 'COPY 3'), message('Z', 'I')]

/** A connection that pg reads. It keeps the data that it gets. */
function connection() {
  const stream = new PassThrough()
  const given: Buffer[] = []
  stream.on('data', (data: Buffer) => given.push(Buffer.from(data)))
  const queries: string[] = []
  const double = { stream, query: (sql: string) => queries.push(sql) } as unknown as Connection
  return { double, stream, queries, given: () => Buffer.concat(given) }
}

describe('the rows of a copy', () => {
  it.each([1, 2, 3, 5, 7, 64, 1000])('come without their frames in pieces of %i bytes', async size => {
    const { double, stream, queries, given } = connection()
    const copy = new CopyOut('COPY t TO STDOUT')
    copy.submit(double)
    expect(queries).toEqual(['COPY t TO STDOUT'])
    const all = Buffer.concat([...ROWS, ...END])
    for (let at = 0; at < all.length; at += size) stream.write(Buffer.from(all.subarray(at, at + size)))
    const read = text(copy)
    // pg gets all messages from the end of the copy on, and then tells the query.
    await expect.poll(() => given().equals(Buffer.concat(END))).toBe(true)
    copy.handleCommandComplete({ text: 'COPY 3' })
    copy.handleReadyForQuery()
    expect(await read).toBe(`1\tAnn\n2\tBob\n3\t${'z'.repeat(300)}\n`)
    expect(copy.rowCount).toBe(3)
  })

  it('are not a complete result before the server has said so', async () => {
    const { double, stream, given } = connection()
    const copy = new CopyOut('COPY t TO STDOUT')
    copy.submit(double)
    const error = message('E', 'out of range')
    stream.write(Buffer.concat([...ROWS, error]))
    const read = text(copy)
    await expect.poll(() => given().equals(error)).toBe(true)
    copy.handleError(new Error('out of range'))
    await expect(read).rejects.toThrow('out of range')

    const unsaid = new CopyOut('COPY t TO STDOUT')
    unsaid.submit(connection().double)
    const ended = text(unsaid)
    unsaid.handleReadyForQuery()
    await expect(ended).rejects.toThrow('without saying how many rows')
  })
})
