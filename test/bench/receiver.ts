/**
 * The benchmark's API. It accepts any request, counts it and the rows in its body, and answers 200, after the
 * delay of `--delay`, or after 30 s where the path begins with `/slow`. It speaks just enough HTTP/1.1 for
 * keep-alive and Content-Length, so that it costs little CPU time beside the sender under measurement. `GET
 * /stats` gives the counts, and `GET /reset` sets them to zero. Neither is counted. The first line on stdout
 * is its URL. With `--ages` it takes the number behind each `"at":` for the time at which the row was
 * committed, in ms since 1970. Run: node test/bench/receiver.ts [--port N] [--delay MS] [--marker TEXT]
 * [--ages]
 */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { parseArgs } from 'node:util'
import type { ReceiverStats } from './start-receiver.ts'

const HEAD_END = '\r\n\r\n'
const HEAD_LIMIT_BYTES = 64 * 1024
const BODY_LIMIT_BYTES = 16 * 1024 * 1024
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i
const CHUNKED = /\r\ntransfer-encoding:/i

/** Ages are kept of so many rows, and those that come later have none. */
const MAX_AGES = 4_000_000
const AT = Buffer.from('"at":')
/** The longest number that JavaScript prints for a time. */
const AT_BYTES = 24

interface Counting {
  readonly marker: Buffer
  /** The ages of rows on arrival, in ms; null without `--ages`. */
  readonly ages: Float64Array | null
  aged: number
  /** The process's at the reset. */
  cpu: NodeJS.CpuUsage
  readonly delayMs: number
  stats: { -readonly [figure in keyof ReceiverStats]: ReceiverStats[figure] }
}

const ZERO: ReceiverStats = {
  requests: 0,
  rows: 0,
  bytes: 0,
  firstAt: null,
  lastAt: null,
  cpuSeconds: 0,
  slow: 0,
  ages: null,
}

function answer(status: string, body: string): string {
  const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json`
  return `${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

const ACCEPTED = answer('200 OK', '{}')

function occurrences(body: Buffer, marker: Buffer): number {
  let count = 0
  for (let at = body.indexOf(marker); at >= 0; at = body.indexOf(marker, at + marker.length)) count += 1
  return count
}

function noteAges(counting: Counting, body: Buffer): void {
  const { ages } = counting
  if (ages === null) return
  const now = performance.timeOrigin + performance.now()
  for (let at = body.indexOf(AT); at >= 0; at = body.indexOf(AT, at + AT.length)) {
    if (counting.aged === ages.length) return
    const from = at + AT.length
    ages[counting.aged] = now - Number.parseFloat(body.toString('latin1', from, from + AT_BYTES))
    counting.aged += 1
  }
}

function agesOf({ ages, aged }: Counting): ReceiverStats['ages'] {
  if (ages === null || aged === 0) return null
  const sorted = ages.slice(0, aged).sort()
  const part = (share: number): number => sorted[Math.min(aged - 1, Math.floor(aged * share))] ?? NaN
  return { p50: part(0.5), p99: part(0.99), most: part(1) }
}

function take(counting: Counting, path: string, body: Buffer): string {
  if (path.startsWith('/slow')) {
    counting.stats.slow += 1
    return ACCEPTED
  }
  if (path === '/stats') {
    const { user, system } = process.cpuUsage(counting.cpu)
    const cpuSeconds = (user + system) / 1e6
    return answer('200 OK', JSON.stringify({ ...counting.stats, cpuSeconds, ages: agesOf(counting) }))
  }
  if (path === '/reset') {
    counting.stats = { ...ZERO }
    counting.cpu = process.cpuUsage()
    counting.aged = 0
    return ACCEPTED
  }
  noteAges(counting, body)
  const { stats } = counting
  const now = Date.now()
  stats.requests += 1
  stats.rows += occurrences(body, counting.marker)
  stats.bytes += body.length
  stats.firstAt ??= now
  stats.lastAt = now
  return ACCEPTED
}

const SLOW_MS = 30_000

/** Refuses a request that this receiver does not understand, since a misread benchmark is worse than none. */
function refuse(socket: Socket, status: string): void {
  socket.end(answer(status, '{}'))
}

/** Reads requests from one connection, in order. Answers may be late, but keep that order. */
function serve(counting: Counting, socket: Socket): void {
  let pending = Buffer.alloc(0)
  const chunks: Buffer[] = []
  let awaited = 0
  let held = 0
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  socket.on('data', chunk => {
    chunks.push(chunk)
    held += chunk.length
    if (held < awaited) return
    pending = chunks.length === 1 ? chunk : Buffer.concat(chunks)
    chunks.length = 0
    for (;;) {
      const headEnd = pending.indexOf(HEAD_END)
      if (headEnd < 0 && pending.length > HEAD_LIMIT_BYTES) {
        refuse(socket, '431 Header Too Large')
        return
      }
      if (headEnd < 0) break
      const head = pending.toString('latin1', 0, headEnd)
      if (CHUNKED.test(head)) {
        refuse(socket, '411 Length Required')
        return
      }
      const length = Number(CONTENT_LENGTH.exec(head)?.[1] ?? 0)
      if (length > BODY_LIMIT_BYTES) {
        refuse(socket, '413 Content Too Large')
        return
      }
      awaited = headEnd + HEAD_END.length + length
      if (pending.length < awaited) break
      const path = head.split(' ', 2)[1] ?? ''
      const text = take(counting, path, pending.subarray(headEnd + HEAD_END.length, awaited))
      const delayMs = path.startsWith('/slow') ? SLOW_MS : counting.delayMs
      if (delayMs === 0) socket.write(text)
      else setTimeout(() => socket.write(text), delayMs)
      pending = pending.subarray(awaited)
      awaited = 0
    }
    held = pending.length
    if (held > 0) chunks.push(pending)
  })
}

function receive({
  marker,
  delayMs,
  ages,
}: {
  readonly marker: string
  readonly delayMs: number
  readonly ages: boolean
}): Server {
  const counting: Counting = {
    ...{ marker: Buffer.from(marker), delayMs, stats: { ...ZERO }, cpu: process.cpuUsage(), aged: 0 },
    ages: ages ? new Float64Array(MAX_AGES) : null,
  }
  return createServer(socket => {
    serve(counting, socket)
  })
}

function isAddress(address: string | AddressInfo | null): address is AddressInfo {
  return typeof address === 'object' && address !== null
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      delay: { type: 'string', default: '0' },
      marker: { type: 'string', default: '"id":' },
      ages: { type: 'boolean', default: false },
    },
  })
  const server = receive({ delayMs: Number(values.delay), marker: values.marker, ages: values.ages })
  server.listen(Number(values.port), '127.0.0.1', () => {
    const address = server.address()
    if (isAddress(address)) console.log(`http://127.0.0.1:${address.port}`)
  })
}
