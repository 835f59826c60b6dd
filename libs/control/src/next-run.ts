/** A preview of a sync's next run, from which rows are yet to be chosen. */
import type { Narrowing, Preview, Previewed } from './port.ts'

export interface NextRun extends Omit<Preview, 'requests'> {
  /** May be iterated once. It renders only as many requests as the caller takes. */
  requests(narrowing: Narrowing): AsyncIterable<Previewed>
}
