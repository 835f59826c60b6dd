/**
 * Controls the syncs of a server through its API. The server may be remote. It may also be the process that
 * has a folder open, which listens on a socket in that folder.
 */
import { runView, type PreviewView, type RunView } from '@sluice/contracts/api'
import { MAX_PREVIEWED, type AnswerOf, type InputOf } from '@sluice/contracts/api/operation-shapes'
import type { AskName, CallName, PreviewName } from '@sluice/contracts/api/operations'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import { isEnded } from '@sluice/domain/run-status'
import { sleep } from '@sluice/flow/sleep'
import type { Calling, Control, FollowedRun, Following, Preview, Previewed, PreviewInput } from '../port.ts'
import { followToRest } from '../runs/follow-to-rest.ts'
import type { ServerAddress } from '../server-address.ts'
import { ServerClient } from './server/server-client.ts'

/** A broken stream is opened again at most this many times without a new state in between. */
const MAX_RESUMED = 5
const RESUME_AFTER_MS = 500

/**
 * Connects only when a method is called. Errors of the server keep their code and details. Throws
 * `unreachable` if the server does not answer, or goes away before the run has ended.
 */
export function createServerControl(address: ServerAddress): Control {
  return new ServerControl(new ServerClient(address))
}

class ServerControl implements Control {
  readonly #client: ServerClient

  constructor(client: ServerClient) {
    this.#client = client
  }

  async call<Name extends CallName>(
    name: Name,
    input: InputOf<Name>,
    { signal }: Calling,
  ): Promise<AnswerOf<Name>> {
    return await this.#client.call(name, input, signal)
  }

  async ask<Name extends AskName>(
    name: Name,
    input: InputOf<Name>,
    following: Following,
  ): Promise<FollowedRun> {
    // This signal never aborts, so that an interrupted caller still learns the outcome.
    const { signal } = new AbortController()
    const first = await this.#client.callFor(name, input, runView, signal)
    const cancelRun = (id: string): void => void this.#cancelQuietly(id, signal)
    const states = this.#statesFrom(first, signal)
    const followed = await followToRest(states, { runId: first.id, cancelRun, following })
    if (followed === null) throw this.#client.gone()
    return followed
  }

  async *#statesFrom(first: RunView, signal: AbortSignal): AsyncGenerator<RunView> {
    yield first
    yield* this.follow(first.id, signal)
  }

  /**
   * Opens a broken stream again. A new stream begins with the present state, so the last state is never
   * missed.
   */
  async *follow(id: string, signal: AbortSignal): AsyncGenerator<RunView> {
    let last = ''
    for (let resumed = 0; ; resumed += 1) {
      try {
        for await (const data of readEvents(await this.#client.stream('followRun', { id }, signal))) {
          if (data !== last) resumed = 0
          const view = this.#client.parsed(runView, data)
          if (data !== last) yield view
          last = data
          if (isEnded(view.status)) return
        }
      } catch (error) {
        if (!isSluiceError(error, 'unreachable')) throw error
        // The server has received the command already, so it must not go to another server.
        if (resumed >= MAX_RESUMED) throw this.#client.gone(error)
      }
      if (resumed >= MAX_RESUMED) throw this.#client.gone()
      await sleep(RESUME_AFTER_MS, { signal })
    }
  }

  async preview<Name extends PreviewName>(
    name: Name,
    input: PreviewInput<Name>,
    { signal }: Calling,
  ): Promise<Preview> {
    return previewIn(await this.#client.call(name, { ...input, limit: MAX_PREVIEWED }, signal))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }

  /**
   * Cancels a run, and ignores errors. The run may have ended meanwhile. If the server is gone, following the
   * run throws that error.
   */
  async #cancelQuietly(id: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#client.call('cancel', { id }, signal)
    } catch (error) {
      if (!isSluiceError(error)) throw error
    }
  }
}

/** The preview in the answer of a server. */
function previewIn(view: PreviewView): Preview {
  const { counts, rowsRead = 0, rowsInvalid = 0, invalidRows = [], notices = [] } = view
  const more = view.more === true ? [`there are more requests than the ${view.requests.length} shown`] : []
  return {
    ...{ counts, rowsRead, rowsInvalid, invalidRows, notices: [...notices, ...more] },
    requests: previewed(view),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

async function* previewed({ requests, rejected = [] }: PreviewView): AsyncGenerator<Previewed> {
  await Promise.resolve()
  for (const request of requests) yield { kind: 'request', ...request }
  for (const rows of rejected) yield { kind: 'rejected', ...rows }
}

/** Events of our servers are shorter, since they have only few samples of rows. */
const MAX_EVENT_CHARACTERS = 4 * 1024 * 1024

/**
 * Reads server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) as our servers
 * write them: each event has one line of data. Comments only keep the connection open.
 */
async function* readEvents(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of chunks) {
    rest += chunk
    if (rest.length > MAX_EVENT_CHARACTERS)
      throw new SluiceError(
        'corrupt',
        `an event of the server has more than ${MAX_EVENT_CHARACTERS} characters`,
      )
    const events = rest.split('\n\n')
    rest = events.pop() ?? ''
    for (const event of events)
      for (const line of event.split('\n')) if (line.startsWith('data: ')) yield line.slice('data: '.length)
  }
}
