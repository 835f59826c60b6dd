/**
 * The scripted API in a process of its own: it stays up when a test kills others, costs the test's event loop
 * nothing and can be killed.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import {
  RequestLog,
  type ApiFigures,
  type RecordedRequest,
  type RequestMatch,
  type ScriptedAnswer,
  type ScriptedApi,
} from './scripted-api.ts'

/** Messages to the child. */
export type ToChild =
  | {
      readonly kind: 'on'
      readonly match: RequestMatch
      readonly answer: ScriptedAnswer
      readonly times: number | null
    }
  | { readonly kind: 'reset' }
  | { readonly kind: 'cut'; readonly how: 'reset' | 'end' }
  | { readonly kind: 'mark'; readonly mark: number }

/** Messages from the child. Requests travel in batches, with the figures of that moment. */
export type FromChild =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'seen'; readonly requests: readonly RecordedRequest[]; readonly figures: ApiFigures }
  | { readonly kind: 'marked'; readonly mark: number; readonly figures: ApiFigures }

/** Like the scripted API, but answers are data only, and rules count once `settled` resolves. */
export interface ForkedApi extends ScriptedApi {
  readonly pid: number
  /**
   * Resolves once the child has taken over all rules so far. All that it had seen by then is in `requests`
   * and `figures`.
   */
  settled(): Promise<void>
  /** Ends the child as `kill -9` does; resolves once it is gone. */
  kill(): Promise<void>
}

/** Starts the API in a child process; resolves once it listens. */
export async function forkScriptedApi(options: { readonly port?: number } = {}): Promise<ForkedApi> {
  const child = fork(
    fileURLToPath(new URL('./scripted-api-child.ts', import.meta.url)),
    [String(options.port ?? 0)],
    {
      serialization: 'advanced',
      execArgv: [],
    },
  )
  const log = new RequestLog()
  let figures: ApiFigures = { openConnections: 0, connections: 0, inFlight: 0, mostInFlight: 0 }
  const marks = new Map<number, () => void>()
  let lastMark = 0
  const exited = once(child, 'exit')

  const port = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', code =>
      reject(new Error(`the scripted API ended with code ${String(code)} before it listened`)),
    )
    child.on('message', (message: FromChild) => {
      if (message.kind === 'listening') return resolve(message.port)
      figures = message.figures
      if (message.kind === 'seen') for (const request of message.requests) log.add(request)
      else marks.get(message.mark)?.()
    })
  })

  const send = (message: ToChild) => {
    if (child.connected) child.send(message)
  }
  const settled = () =>
    new Promise<void>((resolve, reject) => {
      if (!child.connected) return reject(new Error('the scripted API is gone'))
      const mark = (lastMark += 1)
      const onExit = () => reject(new Error('the scripted API is gone'))
      child.once('exit', onExit)
      marks.set(mark, () => {
        child.removeListener('exit', onExit)
        marks.delete(mark)
        resolve()
      })
      send({ kind: 'mark', mark })
    })
  const kill = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await exited
  }

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    pid: child.pid ?? -1,
    requests: log.requests,
    get figures() {
      return figures
    },
    on: (match, answer, { times } = {}) => {
      if (typeof answer === 'function') throw new TypeError('a forked API takes answers as data only')
      send({ kind: 'on', match, answer, times: times ?? null })
    },
    reset: () => {
      send({ kind: 'reset' })
      log.clear()
    },
    waitFor: (condition, waitOptions) => log.waitFor(condition, waitOptions),
    cutConnections: how => send({ kind: 'cut', how }),
    settled,
    kill,
    close: kill,
    [Symbol.asyncDispose]: kill,
  }
}
