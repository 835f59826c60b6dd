import { describe, expect, it } from 'vitest'
import type { Previewed } from '@sluice/control/port'
import { itemsApart, previewEnd, previewHead, previewItem } from './preview-text.ts'

const PLAIN = { color: false, columns: null } as const
const NEXT = {
  counts: { added: 1200, changed: 1, removed: 0 },
  rowsRead: 5000,
  rowsInvalid: 0,
  invalidRows: [],
  notices: [] as readonly string[],
}
const NOTHING = { ...NEXT, counts: { added: 0, changed: 0, removed: 0 } }
const ALL = { trigger: undefined, key: undefined, rows: undefined }

describe('a preview for people', () => {
  it('begins with the number of rows of each kind', () => {
    expect(previewHead('people', NEXT, PLAIN)).toBe(
      'people  the next run would send 1,201 rows\n  1,200 added · 1 changed · 0 removed · 5,000 rows read\n',
    )
    expect(previewHead('people', NOTHING, PLAIN)).toBe('people  nothing would be sent\n  5,000 rows read\n')
  })

  it('shows invalid rows and notices, made safe for a terminal', () => {
    const invalidRows = [{ key: 'a\u001b[2J', reason: '2 rows have this primary key' }]
    const next = { ...NOTHING, rowsInvalid: 2, invalidRows, notices: ['all is well'] }
    expect(previewHead('people', next, PLAIN).split('\n').slice(2)).toEqual([
      '  2 rows would not be taken:',
      '    a\\u001b[2J: 2 rows have this primary key',
      '  note: all is well',
      '',
    ])
  })

  it('shows requests with headers and body, and rows without a request', () => {
    const request: Previewed = {
      kind: 'request',
      trigger: 'added',
      method: 'POST',
      url: 'http://api/x\u202e',
      headers: { 'x-a': 'b' },
      body: '[{"a":"\u0007"},2]\n',
      keys: ['1', '2', '3', '4'],
    }
    expect(previewItem(request, PLAIN)).toBe(
      '\nPOST http://api/x\\u202e  added · 4 rows: 1, 2, 3, …\n  x-a: b\n\n  [\n    {"a":"\\u0007"},\n    2\n  ]\n',
    )
    expect(previewItem({ ...request, headers: {}, body: null, keys: ['1'] }, PLAIN)).toBe(
      '\nPOST http://api/x\\u202e  added · 1\n',
    )
    const long = previewItem({ ...request, body: 'x'.repeat(1_000_000) }, PLAIN)
    expect(long.length).toBeLessThan(5_000)
    expect(long).toContain('… 1,000,000 characters; --json shows all of them')
    expect(previewItem({ ...request, headers: {}, body: null, keys: ['1'], sample: true }, PLAIN)).toBe(
      '\nPOST http://api/x\\u202e  added · 1 · sample\n',
    )
    const rejected: Previewed = {
      kind: 'rejected',
      trigger: 'removed',
      keys: ['7'],
      error: 'path: is\nempty',
    }
    expect(previewItem(rejected, PLAIN)).toBe('\n✗ would be rejected  removed · 7\n  path: is⏎empty\n')
  })

  it('ends with what to do', () => {
    const end = (of: Partial<Parameters<typeof previewEnd>[1]>, next: typeof NEXT = NEXT) =>
      previewEnd(
        next,
        { sync: 'people', narrowing: ALL, shown: 20, rows: 80, isCut: false, ...of },
        PLAIN,
      ).trim()
    expect(end({})).toBe('`sluice run people` sends this')
    expect(end({ isStream: true })).toBe(
      'a comparison with the whole table would send this; `sluice up` sends each change as it comes',
    )
    expect(end({}, { ...NEXT, notices: ['the removal guard would hold the run'] })).toBe(
      '`sluice run people` sends this, unless a note above says otherwise',
    )
    expect(end({ isCut: true })).toBe(
      '… and more: 20 requests with 80 rows shown; `--rows N` shows those of N rows, `--json` all',
    )
    expect(end({ narrowing: { ...ALL, rows: 5 } })).toBe(
      'requests of the chosen rows alone; a run puts them together with the others',
    )
    expect(end({ shown: 0, narrowing: { ...ALL, key: '7' } })).toBe(
      'No row with key `7` would be sent: none was added, changed or removed.',
    )
    expect(end({ shown: 0, narrowing: { ...ALL, key: '7' } }, NOTHING)).toMatch(/^No row with key `7`/)
    const removed = { ...ALL, trigger: 'removed' } as const
    expect(end({ shown: 0, narrowing: removed }, NOTHING)).toBe(
      'No such row would be sent: the model has none, either.',
    )
    expect(end({ shown: 1, rows: 1, narrowing: removed, isSample: true }, NOTHING)).toBe(
      'a sample: no such row waits for the trigger `removed`, so a row of the model stands for it',
    )
    expect(end({ shown: 0 }, NOTHING)).toBe('')
  })
})

describe('JSON in one line', () => {
  it('gets a line for each item, and loses nothing', () => {
    expect(itemsApart('[{"a":[1,2]}, "x,]\\"[", 3 ]')).toBe('[\n  {"a":[1,2]},\n  "x,]\\"[",\n  3\n]')
    expect(itemsApart('[]\n')).toBe('[\n]')
    expect(itemsApart('[[1,2],[')).toBe('[\n  [1,2],\n  [')
    expect(itemsApart('{"a":1, "b":{"c":"}","d":[1,2]}}')).toBe('{\n  "a":1,\n  "b":{"c":"}","d":[1,2]}\n}')
    expect(itemsApart('{}')).toBe('{\n}')
    expect(itemsApart('text, {"a":1}')).toBe('text, {"a":1}')
    expect(itemsApart('[1,\n2]')).toBe('[1,\n2]')
  })
})
