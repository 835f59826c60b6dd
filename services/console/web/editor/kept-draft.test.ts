import { describe, expect, it } from 'vitest'
import { STARTING_DRAFT } from './draft.ts'
import { startBehind } from './reused.ts'
import { parseKept, pinned, pinOf, restored, writtenDraft, type Kept } from './use-editing.ts'

const start = { draft: STARTING_DRAFT, versions: { destination: 3, sync: 5 } }
const mine: Kept = {
  draft: { ...STARTING_DRAFT, destination: 'name: mine\n' },
  ...{ from: start, allowed: [] },
}
const theirs = {
  draft: { ...STARTING_DRAFT, destination: 'name: theirs\n', sync: 'name: theirs\n' },
  versions: { destination: 4, sync: 6 },
}

describe('a draft that was kept', () => {
  it('is the same once it is read again', () => {
    expect(parseKept(writtenDraft(mine))).toEqual(mine)
    expect(parseKept(writtenDraft({ ...mine, from: null }))).toEqual({ ...mine, from: null })
  })

  it('keeps which resources the user has said to change for all', () => {
    const kept = { ...mine, allowed: ['destination/mine', 'source/files'] }
    expect(parseKept(writtenDraft(kept))).toEqual(kept)
    expect(parseKept(JSON.stringify({ ...mine.draft, allowed: 'destination/mine' }))?.allowed).toEqual([])
  })

  it('stays as it was typed if nobody else has saved', () => {
    expect(restored(mine, start)).toEqual({ draft: mine.draft, versions: start.versions })
  })

  it('keeps the version of an edited text, and takes the present text of any other', () => {
    expect(restored(mine, theirs)).toEqual({
      draft: { ...theirs.draft, destination: 'name: mine\n' },
      versions: { destination: 3, sync: 6 },
    })
  })

  it('from an earlier version of Sluice stays as it is', () => {
    const kept = parseKept(JSON.stringify(mine.draft))
    expect(kept).toEqual({ draft: mine.draft, from: null, allowed: [] })
    expect(restored(kept ?? mine, theirs)).toEqual({ draft: mine.draft, versions: theirs.versions })
  })

  it.each([null, '', 'null', '[]', '{"source":1}', '{"source":"a","model":"b","destination":"c"}'])(
    'is none in %j',
    text => {
      expect(parseKept(text)).toBeNull()
    },
  )
})

describe('a kept draft of a new sync', () => {
  const api = (version: number, baseUrl: string) => ({
    ...({ kind: 'destination', name: 'api', version, project: '' } as const),
    spec: { baseUrl },
  })
  const before = startBehind(STARTING_DRAFT, [api(3, 'https://a.example.com')])
  const now = [api(4, 'https://b.example.com')]

  it('keeps the version of a resource that it changes, as long as the name is the same', () => {
    const draft = { ...before.draft, destination: 'kind: destination\nname: api\nbaseUrl: https://mine\n' }
    const behind = startBehind(draft, now)
    const back = restored({ draft, from: before }, behind)
    expect(back.draft).toEqual(draft)
    const pins = pinned(back, behind)
    expect(pinOf(pins, 'destination', 'api')).toBe(3)
    expect(pinOf(pins, 'destination', 'another')).toBeUndefined()
  })

  it('takes the present text of a resource that it only uses', () => {
    const behind = startBehind(before.draft, now)
    const back = restored({ draft: before.draft, from: before }, behind)
    expect(back.draft.destination).toContain('https://b.example.com')
    expect(pinned(back, behind)).toEqual({})
  })

  it('treats a new resource as new, even if somebody has created one of that name meanwhile', () => {
    const from = startBehind(STARTING_DRAFT, [])
    const behind = startBehind(STARTING_DRAFT, now)
    const back = restored({ draft: STARTING_DRAFT, from }, behind)
    expect(back.draft).toEqual(STARTING_DRAFT)
    expect(pinned(back, behind)).toEqual({ destination: { name: 'api', version: 0 } })
  })
})
