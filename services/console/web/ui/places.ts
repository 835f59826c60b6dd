/** Where the server found something wrong, as people read it and as an editor marks it. */
import type { Problem } from '@sluice/contracts/api'
import type { Mark } from './code-editor.tsx'

export type Detail = Problem['errors'][number]

/** Such as `sync.yaml, line 3, path`; empty where no place is known. */
export function placeOf({ file, line, field }: Detail): string {
  return [file, line === undefined ? undefined : `line ${line}`, field]
    .filter(part => part !== undefined)
    .join(', ')
}

/**
 * The same in a draft, whose texts stand for resources: `sync · path`, or the line where no field is known.
 */
export function draftPlaceOf({ file, line, field }: Detail): string {
  const where = field || (line === undefined ? undefined : `line ${line}`)
  return [file?.replace('.yaml', ''), where].filter(part => part !== undefined).join(' · ')
}

/** The details that name a line. */
export function marksOf(details: readonly Detail[]): readonly Mark[] {
  return details.flatMap(({ line, column, message }) =>
    line === undefined ? [] : [{ line, column, message }],
  )
}
