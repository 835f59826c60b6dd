/** The promises of every HTTP sender about servers that answer oddly, tried over bare sockets. */
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import type { HttpSender, OutgoingRequest } from '../src/port.ts'

/** A server does this once it has read a request. A text is written as Latin-1, byte by byte. */
type Step = string | 'END' | 'RESET'

interface OddAnswer {
  readonly what: string
  readonly steps: readonly Step[]
  readonly expected: object
  /** False if the server sends no more answers on that connection. */
  readonly goesOn?: boolean
}

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const head = (status: string, ...headers: readonly string[]): string =>
  ['HTTP/1.1 ' + status, ...headers, '', ''].join('\r\n')
const answered = (status: number, body: string) => ({ kind: 'answered', status, body })
const broken = (error: RegExp) => ({ kind: 'failed', reason: 'broken', error: expect.stringMatching(error) })
const large = (bytes: number): string => `x-large: ${'x'.repeat(bytes)}`

const ODD: readonly OddAnswer[] = [
  { what: '100 before the answer', steps: [head('100 Continue'), OK], expected: answered(200, 'ok') },
  {
    what: '100, 102, 103 and 199 before the answer, with headers, in pieces',
    steps: [
      head('100 Continue', 'x-a: b'),
      head('102 Processing'),
      'HTTP/1.1 103 Early',
      ' Hints\r\nlink: <a>\r\n',
      '\r\n',
      head('199 Odd') + OK,
    ],
    expected: answered(200, 'ok'),
  },
  {
    what: '100 in one piece with the answer',
    steps: [head('100 Continue') + OK],
    expected: answered(200, 'ok'),
  },
  {
    what: '100 and then the end',
    steps: [head('100 Continue'), 'END'],
    expected: broken(/closed/),
    goesOn: false,
  },
  {
    what: '101, which nobody asked for',
    steps: [head('101 Switching Protocols', 'connection: upgrade', 'upgrade: h2c')],
    expected: broken(/101 \(Switching Protocols\)/),
    goesOn: false,
  },
  {
    what: 'headers of 60 KB',
    steps: [head('200 OK', large(60_000), 'content-length: 2') + 'ok'],
    expected: answered(200, 'ok'),
  },
  {
    what: 'headers of more than 64 KiB',
    steps: [head('200 OK', large(66_000), 'content-length: 2') + 'ok'],
    expected: broken(/headers of the answer are larger than 65536 bytes/),
    goesOn: false,
  },
  {
    what: 'many headers of more than 64 KiB together',
    steps: [head('200 OK', ...Array.from({ length: 7000 }, (_, at) => `x-${at}: abcd`), 'content-length: 0')],
    expected: broken(/headers of the answer are larger/),
    goesOn: false,
  },
  {
    what: 'a body that ends before its content-length',
    steps: [head('200 OK', 'content-length: 10') + 'half', 'END'],
    expected: broken(/broke off|closed/),
    goesOn: false,
  },
  {
    what: 'HTTP/1.0 with a length',
    steps: ['HTTP/1.0 201 Created\r\ncontent-length: 2\r\n\r\nok', 'END'],
    expected: answered(201, 'ok'),
    goesOn: false,
  },
  {
    what: 'HTTP/1.0 until the end',
    steps: ['HTTP/1.0 200 OK\r\n\r\nall of it', 'END'],
    expected: answered(200, 'all of it'),
    goesOn: false,
  },
  {
    what: 'HTTP/1.1 until the end',
    steps: [head('200 OK') + 'all of it', 'END'],
    expected: answered(200, 'all of it'),
    goesOn: false,
  },
  {
    what: 'no reason phrase',
    steps: ['HTTP/1.1 202\r\ncontent-length: 0\r\n\r\n'],
    expected: answered(202, ''),
  },
  {
    what: 'chunks with extensions and trailers',
    steps: [head('200 OK', 'transfer-encoding: chunked') + '2;a=b\r\nok\r\n', '0\r\nx-sum: 1\r\n\r\n'],
    expected: answered(200, 'ok'),
  },
  ...['99', '2'].map(length => ({
    what: `chunks and a content-length of ${length}`,
    steps: [
      head('200 OK', `content-length: ${length}`, 'Transfer-Encoding: chunked') + '2\r\nok\r\n',
      '3\r\nand\r\n0\r\n\r\n',
    ],
    expected: answered(200, 'okand'),
    goesOn: false,
  })),
  {
    what: 'a length, and a header without a colon',
    steps: [head('200 OK', 'content-length: 2', 'odd header') + 'ok'],
    expected: broken(/^Response does not match the HTTP\/1.1 protocol \(Invalid header token\)$/),
    goesOn: false,
  },
  {
    what: 'a status below 100',
    steps: [head('099 Odd', 'content-length: 2') + 'ok'],
    expected: broken(/^the answer has the status 099, and HTTP has none below 100$/),
    goesOn: false,
  },
  {
    what: 'a status from 600 on',
    steps: [head('999 Denied', 'content-length: 0')],
    expected: answered(999, ''),
  },
  {
    what: 'chunks that are malformed',
    steps: [head('200 OK', 'transfer-encoding: chunked') + '2\r\nok\r\nzz\r\n'],
    expected: broken(/HTTP/),
    goesOn: false,
  },
  {
    what: 'chunks without an end',
    steps: [head('200 OK', 'transfer-encoding: chunked') + '2\r\nok\r\n', 'END'],
    expected: broken(/\w/),
    goesOn: false,
  },
  {
    what: 'two lengths that differ',
    steps: [head('200 OK', 'content-length: 2', 'content-length: 3') + 'ok'],
    expected: broken(/HTTP|length/i),
    goesOn: false,
  },
  {
    what: '204 with a body',
    steps: [head('204 No Content', 'content-length: 2') + 'ok'],
    expected: answered(204, ''),
    goesOn: false,
  },
  {
    what: '304 with the length of what it stands for',
    steps: [head('304 Not Modified', 'content-length: 99')],
    expected: answered(304, ''),
    goesOn: false,
  },
  ...[301, 302, 303, 307, 308].map(status => ({
    what: `${status}, which is not followed`,
    steps: [head(`${status} Elsewhere`, 'location: http://127.0.0.1:1/', 'content-length: 0')],
    expected: {
      ...answered(status, ''),
      headers: { location: 'http://127.0.0.1:1/', 'content-length': '0' },
    },
  })),
  {
    what: 'a second answer behind the first',
    steps: [OK + head('500 For another', 'content-length: 0')],
    expected: answered(200, 'ok'),
    goesOn: false,
  },
  {
    what: 'bytes of 8 bits in a header and in the reason',
    steps: [head('200 Sch\xf6n', 'x-name: f\xfcr', 'content-length: 2') + 'ok'],
    expected: { ...answered(200, 'ok'), headers: { 'x-name': 'für', 'content-length': '2' } },
  },
  {
    what: 'HTTP/2 at once',
    steps: ['\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x04\0\x10\0\0\0\x06\0\0\x40\0'],
    expected: broken(/HTTP/),
    goesOn: false,
  },
  { what: 'nothing, and the end', steps: ['END'], expected: broken(/closed/), goesOn: false },
  { what: 'nothing, and a reset', steps: ['RESET'], expected: broken(/\w/), goesOn: false },
]

export function oddAnswersContract(name: string, open: () => HttpSender): void {
  describe(`the HTTP sender ${name}, with a server that sends`, () => {
    it.each(ODD)(
      '$what, says so, and serves the next request',
      async ({ steps, expected, goesOn = true }) => {
        await using sender = open()
        await using server = await scriptedServer([steps, [OK]])
        const result = await sender.send(requestTo(server.port))
        expect(result).toMatchObject(expected)
        expect(await sender.send(requestTo(server.port))).toMatchObject(answered(200, 'ok'))
        expect(server.connections).toBe(goesOn ? 1 : 2)
      },
    )

    it('a refusal before it has read the request, and then ends', async () => {
      await using sender = open()
      const refusal = head('413 Too Large', 'connection: close', 'content-length: 3') + 'big'
      await using server = await hastyServer(refusal)
      const body = Buffer.alloc(8_000_000, 'x')
      expect(await sender.send(requestTo(server.port, { body }))).toMatchObject(answered(413, 'big'))
    })

    it('100 and then nothing, is a time-out', async () => {
      await using sender = open()
      await using server = await scriptedServer([[head('100 Continue')]])
      const result = await sender.send(requestTo(server.port, { timeoutMs: 100 }))
      expect(result).toMatchObject({ kind: 'failed', reason: 'timeout', error: 'no answer within 100 ms' })
    })

    it('a byte now and then, is a time-out', async () => {
      await using sender = open()
      const drops = Array.from({ length: 1000 }, () => 'x')
      await using server = await scriptedServer([[head('200 OK', 'content-length: 1000'), ...drops]], 20)
      const result = await sender.send(requestTo(server.port, { timeoutMs: 150 }))
      expect(result).toMatchObject({
        reason: 'timeout',
        error: expect.stringContaining('did not end within 150'),
      })
    })
  })
}

const never = new AbortController().signal

function requestTo(port: number, over: Partial<OutgoingRequest> = {}): OutgoingRequest {
  return {
    method: 'POST',
    url: `http://127.0.0.1:${port}/rows`,
    headers: {},
    body: Buffer.from('{"id":1}'),
    timeoutMs: 10_000,
    signal: never,
    ...over,
  }
}

interface Server extends AsyncDisposable {
  readonly port: number
  readonly connections: number
}

/** Plays an answer for each request that it has read to its end, one after the other. */
async function scriptedServer(answers: readonly (readonly Step[])[], pauseMs = 1): Promise<Server> {
  const left = [...answers]
  return await listen(socket => {
    let seen = ''
    socket.on('data', (chunk: Buffer) => {
      seen += chunk.toString('latin1')
      if (!/\r\n\r\n\{"id":1\}$/.test(seen)) return
      seen = ''
      void play(socket, left.shift() ?? [], pauseMs)
    })
  })
}

/** Answers as soon as something arrives, and reads no further. */
async function hastyServer(answer: string): Promise<Server> {
  return await listen(socket => {
    socket.once('data', () => {
      socket.pause()
      socket.end(answer)
    })
  })
}

async function play(socket: Socket, steps: readonly Step[], pauseMs: number): Promise<void> {
  for (const step of steps) {
    if (socket.destroyed) return
    if (step === 'END') socket.end()
    else if (step === 'RESET') socket.resetAndDestroy()
    else socket.write(step, 'latin1')
    // In a packet of its own.
    await new Promise(resolve => setTimeout(resolve, pauseMs))
  }
}

async function listen(serve: (socket: Socket) => void): Promise<Server> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    serve(socket)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', () => resolve()))
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return sockets.size
    },
    [Symbol.asyncDispose]: () =>
      new Promise<void>(resolve => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
