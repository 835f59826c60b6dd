/**
 * Control of a project in its folder. One process at a time works in a folder. The first command that asks
 * for something takes the folder's lock, and lets others ask through a socket. The others find the lock
 * taken, and ask there. Reading needs neither lock nor socket: many commands may read together while no
 * process works in the folder.
 */
import { existsSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { socketPathOf } from '@sluice/console/socket/socket-path'
import type { RunView } from '@sluice/contracts/api'
import type { AnswerOf, InputOf } from '@sluice/contracts/api/operation-shapes'
import {
  OPERATIONS,
  type AskName,
  type CallName,
  type OperationName,
  type PreviewName,
} from '@sluice/contracts/api/operations'
import { isSluiceError } from '@sluice/contracts/errors'
import type { SourceSpec } from '@sluice/contracts/resources'
import type { Calling, Control, FollowedRun, Following, Preview, PreviewInput } from '@sluice/control/port'
import { ProjectControl } from '@sluice/control/project-control'
import { viewOf } from '@sluice/control/resources/written-resource'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { sleep } from '@sluice/flow/sleep'
import type { FolderOptions, Held } from './hold-folder.ts'

/** A command waits this long for another one that is just beginning, ending or reading. */
const PATIENCE_MS = 10_000
const LOOK_AGAIN_MS = 50
/** The size of the page that is read. Files of a project with more resources are not compared. */
const MAX_RESOURCES = 1_000
const SHOWN_EDITS = 3

/**
 * The subject of a question. If it is a sync, the project has to have that sync. With `past`, the answer
 * makes no files in a folder in which nothing ran. With `folder`, the answer makes the folder's files.
 */
type About = { readonly sync: string } | 'past' | 'folder'

/** These operations store something even in a folder in which nothing ran so far. */
const MAKES_FOLDER: ReadonlySet<OperationName> = new Set(['setSecret', 'putResource', 'applyResources'])

export class FolderControl implements Control {
  readonly #options: FolderOptions
  #held: Held | null = null
  /** Callers at the same time take the folder's lock once. */
  #holding: Promise<Held> | null = null
  #reading: Control | null = null

  constructor(options: FolderOptions) {
    this.#options = options
  }

  async call<Name extends CallName>(
    name: Name,
    input: InputOf<Name>,
    calling: Calling,
  ): Promise<AnswerOf<Name>> {
    // The files are here, so nobody is asked.
    if (name === 'listResources') return await this.#reader().call(name, input, calling)
    const isRead = OPERATIONS[name].does === 'read'
    // The vault opens only with a log that it may write to, so listing secrets takes the lock.
    if (isRead && name !== 'listSecrets')
      return await this.#look(control => control.call(name, input, calling))
    const about = aboutOf(name, input)
    const ask = async (control: Control): Promise<AnswerOf<Name>> => {
      if (typeof about === 'object') await this.#reportEdits(control, calling.signal)
      return await control.call(name, input, calling)
    }
    return await this.#ask(ask, about)
  }

  async ask<Name extends AskName>(
    name: Name,
    input: InputOf<Name>,
    following: Following,
  ): Promise<FollowedRun> {
    const about = aboutOf(name, input)
    const ask = async (control: Control): Promise<FollowedRun> => {
      const reads = typeof about === 'object' && name !== 'reset'
      if (reads) await this.#reportEdits(control, following.cancel)
      return await control.ask(name, input, following)
    }
    return await this.#ask(ask, about)
  }

  async preview<Name extends PreviewName>(
    name: Name,
    input: PreviewInput<Name>,
    calling: Calling,
  ): Promise<Preview> {
    return await this.#look(async control => {
      if (name === 'preview') await this.#reportEdits(control, calling.signal)
      return await control.preview(name, input, calling)
    })
  }

  async *follow(run: string, signal: AbortSignal): AsyncGenerator<RunView> {
    yield* await this.#look(control => Promise.resolve(control.follow(run, signal)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#closeReading()
    await this.#held?.[Symbol.asyncDispose]()
  }

  /** Tries again while the process that has the lock begins or ends, since nothing was asked of it then. */
  async #ask<T>(ask: (control: Control) => Promise<T>, about: About): Promise<T> {
    await this.#closeReading()
    return await this.#patiently(async () => ask(await this.#holderOrSelf(about)))
  }

  async #look<T>(look: (control: Control) => Promise<T>): Promise<T> {
    return await this.#patiently(async () => {
      if (this.#held !== null) return await look(this.#held.control)
      const socket = this.#socket()
      if (socket !== null) {
        try {
          return await look(await this.#options.askHolder(socket))
        } catch (error) {
          // A killed process has left the socket, and nobody listens there any more.
          if (!isSluiceError(error, 'unreachable') || !error.retryable) throw error
        }
      }
      this.#reading ??= this.#reader()
      try {
        return await look(this.#reading)
      } catch (error) {
        await this.#closeReading()
        throw error
      }
    })
  }

  /** `sluice up` goes by what is stored, so that an edit of the files alone changes nothing there. */
  async #reportEdits(control: Control, signal: AbortSignal): Promise<void> {
    if (control === this.#held?.control || control === this.#reading) return
    const { catalog, tell } = this.#options
    const { resources } = await control.call('listResources', { limit: MAX_RESOURCES }, { signal })
    const stored = new Map(resources.map(({ kind, name, spec }) => [`${kind} ${name}`, spec]))
    const edited = (await catalog.resources(signal))
      .map(viewOf)
      .filter(({ kind, name, spec }) => !isDeepStrictEqual(spec, stored.get(`${kind} ${name}`)))
      .map(({ kind, name }) => `${kind} ${name}`)
    if (edited.length === 0 || resources.length === MAX_RESOURCES) return
    const some = edited.slice(0, SHOWN_EDITS).join(', ')
    const more = edited.length > SHOWN_EDITS ? ` and ${edited.length - SHOWN_EDITS} more` : ''
    tell(
      `\`sluice up\` uses the resources that it has stored, and the files of the folder differ (${some}${more}): \`sluice diff\` shows how, \`sluice apply\` stores them`,
    )
  }

  async #patiently<T>(attempt: () => Promise<T>): Promise<T> {
    const { patienceMs = PATIENCE_MS, signal } = this.#options
    const startedAt = elapsedMs()
    let refused: unknown = null
    for (;;) {
      try {
        return await attempt()
      } catch (error) {
        const mayPass = isSluiceError(error, 'conflict') || isSluiceError(error, 'unreachable')
        if (!mayPass || !error.retryable) throw error
        // This error names the process that has the lock, so this error is reported.
        if (error.code === 'conflict') refused = error
        if (elapsedMs() - startedAt > patienceMs) throw refused ?? error
      }
      await sleep(LOOK_AGAIN_MS, { signal })
    }
  }

  async #holderOrSelf(about: About): Promise<Control> {
    if (this.#held !== null) return this.#held.control
    const { catalog, hostOf, hasHistory, askHolder } = this.#options
    // This throws for mistakes in the project before anything is opened.
    let expected: SourceSpec | null = null
    if (typeof about === 'object') {
      const { signal } = new AbortController()
      const definition = await catalog.definition(about.sync, signal)
      await hostOf({ isAtWork: true }).assertSecrets(definition, null)
      expected = definition.source
    } else if (about === 'past' && !hasHistory()) return this.#reader()
    try {
      this.#holding ??= this.#hold(expected).finally(() => (this.#holding = null))
      this.#held = await this.#holding
      return this.#held.control
    } catch (error) {
      const socket = this.#socket()
      const asksOthers = this.#options.firstRun === undefined
      if (!isSluiceError(error, 'conflict') || socket === null || !asksOthers) throw error
      return await askHolder(socket)
    }
  }

  async #hold(expected: SourceSpec | null): Promise<Held> {
    const { holdFolder } = await import('./hold-folder.ts')
    return await holdFolder(this.#options, expected)
  }

  #socket(): string | null {
    const path = folderSocket(this.#options.dataDir)
    return path !== null && existsSync(path) ? path : null
  }

  #reader(): Control {
    const { catalog, hostOf, hasHistory, openToRead } = this.#options
    return new ProjectControl(catalog, {
      ...hostOf({ isAtWork: false }),
      ...{ hasHistory: hasHistory(), runsSchedules: false, isAtWork: false },
      open: openToRead,
    })
  }

  async #closeReading(): Promise<void> {
    const reading = this.#reading
    this.#reading = null
    await reading?.[Symbol.asyncDispose]()
  }
}

/** The path where a process that works in the folder listens for other commands; null if there is none. */
export function folderSocket(dataDir: string): string | null {
  return socketPathOf(dataDir)
}

function aboutOf(name: OperationName, input: object): About {
  if (MAKES_FOLDER.has(name)) return 'folder'
  const isOfSync = OPERATIONS[name].path.startsWith('/syncs/:name/')
  return isOfSync && 'name' in input ? { sync: String(input.name) } : 'past'
}
