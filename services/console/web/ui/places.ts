/** The places of mistakes: as people read them, and as an editor marks them. */
import type { Problem } from '@sluice/contracts/api'
import type { Mark } from './code-editor.tsx'

export type Detail = Problem['errors'][number]

/** For example `sync.yaml, line 3, path`. Empty if the place is unknown. */
export function placeOf({ file, line, field }: Detail): string {
  return [file, line === undefined ? undefined : `line ${line}`, field]
    .filter(part => part !== undefined)
    .join(', ')
}

/** The marks for details that name a line. */
export function marksOf(details: readonly Detail[]): readonly Mark[] {
  return details.flatMap(({ line, column, message }) =>
    line === undefined ? [] : [{ line, column, message }],
  )
}
