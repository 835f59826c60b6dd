import { describe, expect, it } from 'vitest'
import { STARTING_DRAFT } from './draft.ts'
import { writtenDraft, parseKept, restored, type Kept } from './use-editing.ts'

const start = { draft: STARTING_DRAFT, versions: { destination: 3, sync: 5 } }
const mine: Kept = { draft: { ...STARTING_DRAFT, destination: 'name: mine\n' }, from: start }
const theirs = {
  draft: { ...STARTING_DRAFT, destination: 'name: theirs\n', sync: 'name: theirs\n' },
  versions: { destination: 4, sync: 6 },
}

describe('a draft that was kept', () => {
  it('is the same once it is read again', () => {
    expect(parseKept(writtenDraft(mine))).toEqual(mine)
    expect(parseKept(writtenDraft({ ...mine, from: null }))).toEqual({ ...mine, from: null })
  })

  it('stays as it was typed where nobody else has changed anything', () => {
    expect(restored(mine, start)).toEqual({ draft: mine.draft, versions: start.versions })
  })

  it('keeps the version of what was typed, and follows others where nothing was', () => {
    expect(restored(mine, theirs)).toEqual({
      draft: { ...theirs.draft, destination: 'name: mine\n' },
      versions: { destination: 3, sync: 6 },
    })
  })

  it('of an earlier version is taken as it is', () => {
    const kept = parseKept(JSON.stringify(mine.draft))
    expect(kept).toEqual({ draft: mine.draft, from: null })
    expect(restored(kept ?? mine, theirs)).toEqual({ draft: mine.draft, versions: theirs.versions })
  })

  it.each([null, '', 'null', '[]', '{"source":1}', '{"source":"a","model":"b","destination":"c"}'])(
    'is none in %j',
    text => {
      expect(parseKept(text)).toBeNull()
    },
  )
})
