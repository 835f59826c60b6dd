/** Control for a caller with certain roles. */
import type { RunView, SyncView } from '@sluice/contracts/api'
import type { AnswerOf, InputOf } from '@sluice/contracts/api/operation-shapes'
import type { AskName, CallName, PreviewName } from '@sluice/contracts/api/operations'
import type { Calling, Control, FollowedRun, Following, Preview, PreviewInput } from './port.ts'
import { assertMayAsk, attemptShownTo, shownTo, troubleShownTo, type Role } from './roles.ts'

/** Hides the names and texts of rows in answers from a caller that may not see them. */
const SHOWN: {
  readonly [Name in CallName]?: (roles: ReadonlySet<Role>, answer: AnswerOf<Name>) => AnswerOf<Name>
} = {
  listRuns: (roles, page) => ({ ...page, runs: page.runs.map(view => shownTo(roles, view)) }),
  getRun: shownTo,
  sendTest: attemptShownTo,
  sendTestOfDocuments: attemptShownTo,
  listSyncs: (roles, page) => ({ ...page, syncs: page.syncs.map(sync => shownSync(roles, sync)) }),
  getSync: shownSync,
}

/**
 * Passes calls that the roles allow to another control, and hides from the answers what the roles may not
 * see. Each method throws `forbidden` for any other call, before it passes it on.
 */
export class ControlFor implements Control {
  readonly #roles: ReadonlySet<Role>
  readonly #control: Control
  readonly #by: string | undefined

  /** `by` names the caller, for the record of what they ask. */
  constructor(roles: ReadonlySet<Role>, control: Control, by?: string) {
    this.#roles = roles
    this.#control = control
    this.#by = by
  }

  async call<Name extends CallName>(
    name: Name,
    input: InputOf<Name>,
    calling: Calling,
  ): Promise<AnswerOf<Name>> {
    assertMayAsk(this.#roles, name)
    const shown = (answer: AnswerOf<Name>): AnswerOf<Name> => SHOWN[name]?.(this.#roles, answer) ?? answer
    return await this.#control.call(name, input, this.#named(calling)).then(shown)
  }

  async ask<Name extends AskName>(
    name: Name,
    input: InputOf<Name>,
    following: Following,
  ): Promise<FollowedRun> {
    assertMayAsk(this.#roles, name)
    if ('destination' in input && input.destination === 'new') assertMayAsk(this.#roles, 'reset')
    const onProgress = (view: RunView): void => following.onProgress(shownTo(this.#roles, view))
    const { view } = await this.#control.ask(name, input, { ...this.#named(following), onProgress })
    return { view: shownTo(this.#roles, view) }
  }

  async preview<Name extends PreviewName>(
    name: Name,
    input: PreviewInput<Name>,
    calling: Calling,
  ): Promise<Preview> {
    assertMayAsk(this.#roles, name)
    return await this.#control.preview(name, input, calling)
  }

  async *follow(run: string, signal: AbortSignal): AsyncGenerator<RunView> {
    assertMayAsk(this.#roles, 'followRun')
    for await (const view of this.#control.follow(run, signal)) yield shownTo(this.#roles, view)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#control[Symbol.asyncDispose]()
  }

  /** Puts the caller's own name into the call, so that a caller cannot act under another name. */
  #named<Asking extends Calling | Following>(asking: Asking): Asking {
    return this.#by === undefined ? asking : { ...asking, by: this.#by }
  }
}

function shownSync(roles: ReadonlySet<Role>, sync: SyncView): SyncView {
  const { lastRun, trouble } = sync
  return {
    ...sync,
    lastRun: lastRun === null ? null : shownTo(roles, lastRun),
    ...(trouble === undefined ? {} : { trouble: troubleShownTo(roles, trouble) }),
  }
}
