/** The failed rows of a sync as a file, read page by page, so that at most one page is in memory. */
import type { InputOf } from '@sluice/contracts/api/operation-shapes'
import { failedExport } from '@sluice/domain/failed-export'
import type { Control } from '../port.ts'

const PER_PAGE = 1000

/** Yields the parts of the file. A row that is delivered meanwhile may be missing. Rejects as `call` does. */
export async function* failedParts(
  control: Pick<Control, 'call'>,
  { format, ...rows }: InputOf<'exportFailedRows'>,
  signal: AbortSignal,
): AsyncGenerator<string, void> {
  const part = failedExport(format)
  let after: string | undefined
  do {
    const asked = { ...rows, columns: true, limit: PER_PAGE, after }
    const page = await control.call('listFailedRows', asked, { signal })
    yield part({ rows: page.rows, isFirst: after === undefined, isLast: page.next === null })
    after = page.next ?? undefined
  } while (after !== undefined)
}
