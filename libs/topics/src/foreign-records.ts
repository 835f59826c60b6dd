/**
 * Counts and logs the records that a process skips: another program wrote them, or nobody can read them. A
 * topic may be read many times, and each record is reported once.
 */
import type { SluiceError } from '@sluice/contracts/errors'
import { RecentMap } from '@sluice/flow/recent-map'
import type { TopicPartition } from '@sluice/message-log/port'
import type { Logger } from '@sluice/runtime/logger'
import type { Metrics } from '@sluice/runtime/metrics'

export interface ForeignRecord extends TopicPartition {
  readonly offset: number
  readonly error: SluiceError
  /** The number of records so far, with this one. */
  readonly count: number
}

const MAX_REMEMBERED = 10_000
/** This many records get a line each. After them, only the 2,048th, the 4,096th and so on do. */
const MAX_LINES = 1_000

export class ForeignRecords {
  readonly #seen = new RecentMap<string, true>({ limit: MAX_REMEMBERED })
  readonly #report: (record: ForeignRecord) => void
  #count = 0

  constructor(report: (record: ForeignRecord) => void = () => undefined) {
    this.#report = report
  }

  take({ topic, partition }: TopicPartition, offset: number, error: SluiceError): void {
    const place = `${topic}/${partition}/${offset}`
    if (this.#seen.get(place) === true) return
    this.#seen.set(place, true)
    this.#count += 1
    this.#report({ topic, partition, offset, error, count: this.#count })
  }
}

/** Returns a report for `ForeignRecords` that counts each record and logs it. Call it once per process. */
export function reportForeign(logger: Logger, metrics?: Metrics): (record: ForeignRecord) => void {
  const counter = metrics?.counter({
    name: 'foreign_records_total',
    help: 'Records that were set aside: nobody of Sluice wrote or signed them, or they cannot be read',
    labels: ['topic'],
  })
  return ({ error: err, ...place }) => {
    counter?.add(1, { topic: place.topic })
    if (place.count > MAX_LINES && !Number.isInteger(Math.log2(place.count))) return
    logger.error({ ...place, err }, 'a record is set aside and passed over; who has written it?')
  }
}
