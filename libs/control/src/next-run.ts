/** What the next run of a sync would do, as people ask for it. */
import type { PreviewView } from '@sluice/contracts/api'
import type { Op } from '@sluice/contracts/state'

export type PreviewedRequest = PreviewView['requests'][number]
export type RejectedRows = NonNullable<PreviewView['rejected']>[number]

/** A request, or rows that no request can be made of. */
export type Previewed =
  ({ readonly kind: 'request' } & PreviewedRequest) | ({ readonly kind: 'rejected' } & RejectedRows)

/** Only some of the rows: the requests are then those of a run in which nothing else has changed. */
export interface Narrowing {
  readonly op: Op | undefined
  readonly key: string | undefined
  /** At most this many rows. */
  readonly rows: number | undefined
}

/** Nothing is kept of it once it is disposed, and nothing was changed. */
export interface NextRun extends AsyncDisposable {
  readonly counts: PreviewView['counts']
  readonly rowsRead: number
  readonly rowsInvalid: number
  /** At most ten. */
  readonly invalidRows: NonNullable<PreviewView['invalidRows']>
  /** What else is to be known of that run. */
  readonly notices: readonly string[]
  /** May be iterated once; renders no further than it is read. */
  requests(narrowing: Narrowing): AsyncIterable<Previewed>
}
