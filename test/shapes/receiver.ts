/**
 * The API of a shape, in a process of its own: it judges every row and answers as the pass wants. Forked by
 * start-receiver.ts, with the name of the shape and its scale.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { RowJudge, type Verdict } from './row-judge.ts'
import type { AnswerScript } from './shape.ts'
import { findShape } from './shapes.ts'

/** A message to the receiver. */
export type ToReceiver = { readonly kind: 'begin'; readonly pass: number } | { readonly kind: 'judge' }
/** A message from it: its address, that a pass has begun, or its verdict. */
export type FromReceiver =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'begun' }
  | { readonly kind: 'judged'; readonly verdict: Verdict }

const [name = '', scale = '1'] = process.argv.slice(2)
const shape = findShape(name, Number(scale))
const judge = new RowJudge(shape, passAt(0))
const filler = Buffer.alloc(1_000_000, 'x')

const server = createServer((request, response) => {
  // A connection that the sender breaks off shows in what is missing.
  answer(request, response).catch(() => response.destroy())
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object' && address !== null) tell({ kind: 'listening', port: address.port })
})

process.on('message', (message: ToReceiver) => {
  if (message.kind === 'begin') {
    judge.begin(passAt(message.pass))
    tell({ kind: 'begun' })
  } else tell({ kind: 'judged', verdict: judge.judge() })
})
process.on('disconnect', () => process.exit(0))

function passAt(index: number): (typeof shape.passes)[number] {
  const pass = shape.passes[index]
  if (pass === undefined) throw new Error(`the shape ${name} has no pass ${index}`)
  return pass
}

function tell(message: FromReceiver): void {
  process.send?.(message)
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await buffer(request)
  const { isFirst } = judge.take(request.url?.slice(1), body)
  await carryOut(judge.pass.answers, response, isFirst)
}

async function carryOut(script: AnswerScript, response: ServerResponse, isFirst: boolean): Promise<void> {
  switch (script.kind) {
    case 'ok':
      response.end('{}')
      return
    case 'reject':
      response.writeHead(400, { 'content-type': 'text/plain' }).end('no '.repeat(script.textBytes / 3))
      return
    case 'throttle-once':
      response.writeHead(isFirst ? 429 : 200).end()
      return
    case 'cut':
      response.destroy()
      return
    case 'large':
      response.writeHead(200, { 'content-type': 'text/plain', 'content-length': String(script.bytes) })
      for (let left = script.bytes; left > 0 && !response.destroyed; left -= filler.length) {
        const hasRoom = response.write(filler.subarray(0, left))
        if (!hasRoom) await drained(response)
      }
      response.end()
      return
    default:
      script satisfies never
  }
}

/** Resolves once there is room for more, or nobody reads any more. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise(resolve => {
    response.once('drain', resolve).once('close', resolve)
  })
}
