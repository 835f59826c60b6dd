/**
 * The records that a process has set aside: no process of Sluice has written them, or nobody can read them.
 * A topic may be read many times, and each record is told of once.
 */
import type { SluiceError } from '@sluice/contracts/errors'
import { RecentMap } from '@sluice/flow/recent-map'
import type { TopicPartition } from '@sluice/message-log/port'

export interface ForeignRecord extends TopicPartition {
  readonly offset: number
  readonly error: SluiceError
  /** How many there were so far, with this one. */
  readonly count: number
}

/** Most places that are remembered. */
const PLACES_KEPT = 10_000

export class ForeignRecords {
  readonly #told = new RecentMap<string, true>({ limit: PLACES_KEPT })
  readonly #tell: (record: ForeignRecord) => void
  #count = 0

  constructor(tell: (record: ForeignRecord) => void = () => undefined) {
    this.#tell = tell
  }

  take({ topic, partition }: TopicPartition, offset: number, error: SluiceError): void {
    const place = `${topic}/${partition}/${offset}`
    if (this.#told.get(place) === true) return
    this.#told.set(place, true)
    this.#count += 1
    this.#tell({ topic, partition, offset, error, count: this.#count })
  }
}
