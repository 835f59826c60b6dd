/** A log whose writers let a test step in before an append, to delay it or to fail it as an outage does. */
import { SluiceError } from '@sluice/contracts/errors'
import type { FencedWriter, MessageLog, NewRecord, TopicPartition } from '@sluice/message-log/port'
import { recordsOf } from '@sluice/message-log/record-block'

/**
 * Called with each append. The append waits until it resolves, and later appends of the same writer wait in
 * turn. If it rejects, so does the append, and the writer is dead. If it rejects with a `CutAppend`, the
 * first records are in the log all the same, as they may be after a large append.
 */
export type BeforeAppend = (target: TopicPartition, records: readonly NewRecord[]) => Promise<void>

/** The log itself; only appends differ. */
export function watchedLog(log: MessageLog, before: BeforeAppend): MessageLog {
  return new Proxy(log, {
    get(target, name) {
      if (name === 'openWriter')
        return async (id: string, options: { signal: AbortSignal }) =>
          watchedWriter(await log.openWriter(id, options), before)
      if (name === 'append')
        return async (...args: Parameters<MessageLog['append']>) => {
          await before(args[0], args[1])
          return log.append(...args)
        }
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => Reflect.apply(value, target, args)
    },
  })
}

/** An outage in the middle of an append. */
export class CutAppend extends SluiceError {
  /** The number of records in the log before the outage. */
  readonly kept: number

  constructor(kept: number) {
    super('unreachable', `no answer after ${kept} records`, { retryable: true })
    this.kept = kept
  }
}

/** An outage as a log reports it: it is not known whether the append happened. */
export function outage(): SluiceError {
  return new SluiceError('unreachable', 'no answer', { retryable: true })
}

function watchedWriter(writer: FencedWriter, before: BeforeAppend): FencedWriter {
  let dead = false
  let last: Promise<unknown> = Promise.resolve()
  return {
    id: writer.id,
    get state() {
      return dead ? 'dead' : writer.state
    },
    append(target, records, options) {
      const earlier = last.catch(() => undefined)
      const ready = Promise.all([before(target, recordsOf(records)), earlier])
      const appended = ready.then(
        () => {
          if (dead) throw new SluiceError('writer-dead', 'an earlier append has failed')
          return writer.append(target, records, options)
        },
        async (error: unknown) => {
          await earlier
          if (!dead && error instanceof CutAppend && error.kept > 0)
            await writer.append(target, recordsOf(records).slice(0, error.kept), options)
          dead = true
          throw error
        },
      )
      last = appended
      return appended
    },
    [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
  }
}
