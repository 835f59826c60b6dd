/** A preview of a sync's next run, from which rows are yet to be chosen. */
import type { Narrowing, Preview, Previewed } from '../port.ts'

/** A rendered request. It lacks what the destination adds, and so it has no secrets. */
export interface RenderedRequest {
  readonly method: string
  /** Appended to the base URL; already percent-encoded. */
  readonly path: string
  readonly headers: { readonly [name: string]: string }
  readonly body: Uint8Array | null
}

export interface FoundRequest {
  readonly shown: Previewed
  /** Null for rows that cannot become a request. */
  readonly rendered: RenderedRequest | null
}

export interface NextRun extends Omit<Preview, 'requests'> {
  /** May be iterated once. It renders only as many requests as the caller takes. */
  requests(narrowing: Narrowing): AsyncIterable<FoundRequest>
}

export async function* shownOf(requests: AsyncIterable<FoundRequest>): AsyncGenerator<Previewed> {
  for await (const { shown } of requests) yield shown
}
