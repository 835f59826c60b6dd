/** Opens the index of history in a folder, and lets it follow the topics. */
import { join } from 'node:path'
import { isSluiceError } from '@sluice/contracts/errors'
import type { RunsView } from '@sluice/runs/runs-view'
import type { Logger } from '@sluice/runtime/logger'
import { makeFolder } from '@sluice/runtime/make-folder'
import { TopicsFollower } from './follow-topics.ts'
import type { HistorySettings } from './history-settings.ts'
import type { HistoryIndex } from './port.ts'
import type { TopicsDeps } from './read-records.ts'

export interface OpenHistoryOptions extends TopicsDeps {
  readonly runs: RunsView
  readonly dataDir: string
  readonly settings: HistorySettings
  readonly createIndex: (options: {
    readonly file: string
    readonly maxBytes: number
    readonly keepsBodies: boolean
    readonly onRenew: (why: string) => void
  }) => HistoryIndex
  readonly logger: Logger
}

export interface OpenedHistory extends AsyncDisposable {
  readonly index: HistoryIndex
  readonly follower: TopicsFollower
}

/**
 * Resolves with null, and logs a warning, if the file cannot be used: another process has it, or the disk
 * fails. The topics then answer questions about the history.
 */
export async function openHistory(options: OpenHistoryOptions): Promise<OpenedHistory | null> {
  const { dataDir, settings, createIndex, logger, ...deps } = options
  const file = join(dataDir, 'history.db')
  await using opening = new AsyncDisposableStack()
  try {
    makeFolder(dataDir)
    const onRenew = (why: string): void =>
      logger.warn({ file, why }, 'the index of the history begins again, from what the topics still hold')
    const index = opening.use(createIndex({ ...settings, file, onRenew }))
    const onTransientFailure = (err: unknown): void =>
      logger.warn({ err }, 'the history could not be followed')
    const follower = opening.use(
      TopicsFollower.start({ ...deps, index, days: settings.days, onTransientFailure }),
    )
    const opened = opening.move()
    return { index, follower, [Symbol.asyncDispose]: () => opened.disposeAsync() }
  } catch (error) {
    if (!isSluiceError(error)) throw error
    logger.warn(
      { err: error, file },
      'there is no index of the history: searches read the topics, which takes longer',
    )
    return null
  }
}
