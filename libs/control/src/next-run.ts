/** A preview of a sync's next run. */
import type { PreviewView } from '@sluice/contracts/api'
import type { Op } from '@sluice/contracts/state'

export type PreviewedRequest = PreviewView['requests'][number]
export type RejectedRows = NonNullable<PreviewView['rejected']>[number]

/** A request, or rows that cannot become a request. */
export type Previewed =
  ({ readonly kind: 'request' } & PreviewedRequest) | ({ readonly kind: 'rejected' } & RejectedRows)

/** Chooses some of the rows. The requests are then those of a run in which no other row has changed. */
export interface Narrowing {
  readonly op: Op | undefined
  readonly key: string | undefined
  /** At most this many rows. */
  readonly rows: number | undefined
}

/** The preview. It changes nothing, and disposing it removes all that it made. */
export interface NextRun extends AsyncDisposable {
  readonly counts: PreviewView['counts']
  readonly rowsRead: number
  readonly rowsInvalid: number
  /** At most ten. */
  readonly invalidRows: NonNullable<PreviewView['invalidRows']>
  /** What else people should know about that run. */
  readonly notices: readonly string[]
  /** May be iterated once. It renders only as many requests as the caller takes. */
  requests(narrowing: Narrowing): AsyncIterable<Previewed>
}
