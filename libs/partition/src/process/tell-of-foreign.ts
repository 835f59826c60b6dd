/** Says which records a process has set aside, in its metrics and its log. */
import type { Logger } from '@sluice/runtime/logger'
import type { Metrics } from '@sluice/runtime/metrics'
import type { ForeignRecord } from '@sluice/topics/foreign-records'

/** So many records get a line each. Of more there is a line at 2,048, at 4,096, and so on. */
const MAX_LINES = 1_000

export function tellOfForeign(logger: Logger, metrics?: Metrics): (record: ForeignRecord) => void {
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
