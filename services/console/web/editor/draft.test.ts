import { describe, expect, it } from 'vitest'
import {
  MAX_NUMBERED,
  nameFrom,
  STARTING_DRAFT,
  textAt,
  unreadableIn,
  valueAt,
  withValue,
  yamlOf,
  withText,
  type Draft,
  type Kind,
} from './draft.ts'

const SYNC = `kind: sync # the nightly one
name: customers
# Only what the API knows.
triggers:
  added:
    method: POST
    path: /customers
  changed: added
`

const COMMENTED = `# Agreed with the vendor
kind: destination # kind
# before name
name: api # after name

# before base
baseUrl: https://api.example.com # after base
limits: # after limits
  # before rate
  rate: { requests: 100, per: second } # after rate
  # before concurrency
  concurrency: 10 # after concurrency
  # end of limits
headers:
  # first header
  A: one
  # second header
  B: "two" # after second
tags:
  - a # at a
  # before b
  - b
note: | # a block
  text
  more
# the end
`
const PATHS = [
  ...[['name'], ['baseUrl'], ['limits'], ['limits', 'rate'], ['limits', 'rate', 'requests']],
  ...[['limits', 'concurrency'], ['headers'], ['headers', 'A'], ['headers', 'B'], ['tags'], ['note']],
]
const VALUES = [undefined, 7, 'two words', 'two\nlines\n', { requests: 1 }, ['b', 'c'], { B: 'b', C: 'c' }]
const commentsIn = (text: string): readonly string[] => (text.match(/# ?[A-Za-z ]+/g) ?? []).sort()

describe('what a form changes in a text', () => {
  it.each(PATHS.map(path => ({ path })))('loses no comment at $path', ({ path }) => {
    for (const value of VALUES) {
      const changed = withValue(COMMENTED, path, value)
      expect(commentsIn(changed), `${path.join('.')} = ${JSON.stringify(value)}`).toEqual(
        commentsIn(COMMENTED),
      )
      expect(valueAt(changed, path)).toEqual(value)
      expect(unreadableIn(changed)).toBeNull()
    }
  })

  it.each([
    [['limits', 'concurrency'], 20, 'concurrency: 10', 'concurrency: 20'],
    [['limits', 'rate', 'per'], 'a: b', 'per: second', 'per: "a: b"'],
    [['headers', 'A'], '3', 'A: one', 'A: "3"'],
    [['headers', 'B'], 'say "3"', '"two"', String.raw`"say \"3\""`],
    [['note'], 'text\n\n  less', '| # a block\n  text\n  more', '|- # a block\n  text\n\n    less'],
  ])('touches no other text than that of %j', (path, value, before, after) => {
    const changed = withValue(COMMENTED, path, value)
    expect(changed).toBe(COMMENTED.replace(before, after))
    expect(valueAt(changed, path)).toBe(value)
  })

  it('keeps the comments of a removed value, above the next one', () => {
    const changed = withValue(COMMENTED, ['headers', 'A'], undefined)
    expect(changed).toContain('headers:\n  # first header\n  # second header\n  B: "two"')
  })

  it('keeps the comments of a map that it writes as a whole, in another order, too', () => {
    const text = 'fields:\n  # first\n  a: x # at a\n  # second\n  b: y\n'
    const changed = withValue(text, ['fields'], { b: 'y', c: 'z', a: 'w' })
    expect(changed).toBe('fields:\n  # second\n  b: y\n  c: z\n  # first\n  a: w # at a\n')
  })

  it('writes a copy in place of an alias, and does not change the anchor', () => {
    const text = 'added: &it { method: POST, path: /a }\nchanged: *it\n'
    const changed = withValue(text, ['changed', 'method'], 'PUT')
    expect(valueAt(changed, ['added'])).toEqual({ method: 'POST', path: '/a' })
    expect(valueAt(changed, ['changed'])).toEqual({ method: 'PUT', path: '/a' })
  })

  it.each(['a: *nothing\n', 'only text', '- a\n', 'a: [1,\n'])('leaves %j as it is', text => {
    expect(unreadableIn(text)).not.toBeNull()
    expect(withValue(text, ['name'], 'x')).toBe(text)
    expect(valueAt(text, ['name'])).toBeUndefined()
  })
})

describe('a draft', () => {
  it('keeps comments and order when a form changes a value', () => {
    const changed = withValue(SYNC, ['triggers', 'added', 'method'], 'PUT')
    expect(changed).toBe(SYNC.replace('POST', 'PUT'))
  })

  it('makes the maps above a new value', () => {
    const changed = withValue(SYNC, ['errors', 'retry'], 'now')
    expect(changed).toBe(`${SYNC}errors:\n  retry: now\n`)
    expect(withValue(changed, ['errors', 'retry'], undefined)).toBe(SYNC)
  })

  it('puts a map in the place of a scalar that says "as the other"', () => {
    const changed = withValue(SYNC, ['triggers', 'changed', 'method'], 'PATCH')
    expect(valueAt(changed, ['triggers', 'changed'])).toEqual({ method: 'PATCH' })
    expect(changed).toContain('# Only what the API knows.')
  })

  it('does not change a text that is no YAML, so that nothing typed is lost', () => {
    const broken = 'kind: sync\n  name: [1,\n'
    expect(withValue(broken, ['name'], 'x')).toBe(broken)
  })

  it('writes texts of several lines as blocks, and stored resources as people write them', () => {
    const text = yamlOf('model', 'people', {
      source: 'files',
      sql: 'select id\nfrom people\n',
      primaryKey: ['a', 'b'],
    })
    expect(text).toContain('sql: |\n  select id\n  from people\n')
    expect(valueAt(text, ['primaryKey'])).toEqual(['a', 'b'])
  })

  it('starts as four resources that belong together', () => {
    expect(textAt(STARTING_DRAFT.sync, ['model'])).toBe(textAt(STARTING_DRAFT.model, ['name']))
    expect(textAt(STARTING_DRAFT.sync, ['destination'])).toBe(textAt(STARTING_DRAFT.destination, ['name']))
    expect(textAt(STARTING_DRAFT.model, ['source'])).toBe(textAt(STARTING_DRAFT.source, ['name']))
  })

  it('renames references together with the resource, also while the name is typed', () => {
    const rename = (draft: Draft, name: string | undefined, fixed: readonly Kind[] = []): Draft =>
      withText(draft, 'destination', withValue(draft.destination, ['name'], name), fixed)
    const emptied = rename(STARTING_DRAFT, undefined)
    const renamed = rename(rename(emptied, 'a'), 'algolia')
    expect(textAt(renamed.sync, ['destination'])).toBe('algolia')
    expect(renamed.model).toBe(STARTING_DRAFT.model)
    expect(textAt(withText(renamed, 'source', 'name: shop\n').model, ['source'])).toBe('shop')
    expect(rename(STARTING_DRAFT, 'algolia', ['sync']).sync).toBe(STARTING_DRAFT.sync)
    const other = { ...STARTING_DRAFT, sync: 'kind: sync\ndestination: theirs\n' }
    expect(rename(other, 'algolia').sync).toBe(other.sync)
  })
})

it.each([
  ['HTTP Request - Algolia REST API', 'http-request-algolia-rest-api'],
  ['  Käufer & Übersicht!', 'kaufer-ubersicht'],
  ['日本', ''],
  [`${'a'.repeat(62)} b`, 'a'.repeat(62)],
])('the name of %j is %j', (title, name) => {
  expect(nameFrom(title)).toBe(name)
})

it('a name that may get a number is shorter, and ends with no dash either', () => {
  expect(nameFrom(`${'a'.repeat(59)} b`, MAX_NUMBERED)).toBe('a'.repeat(59))
})
