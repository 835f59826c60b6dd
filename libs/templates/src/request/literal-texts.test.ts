/**
 * A written-out piece of a path or header that can only be wrong is an error when the template is analysed.
 */
import { isSluiceError } from '@sluice/contracts/errors'
import type { TriggerSpec } from '@sluice/contracts/resources'
import { describe, expect, it } from 'vitest'
import { compileTrigger } from '../compile.ts'

/** Returns the mistakes in a path or headers, as `column message`; empty without any. */
function mistakes(spec: Partial<TriggerSpec>): string[] {
  try {
    compileTrigger({ method: 'PUT', path: '/x', ...spec }, { sync: 's', op: 'added' })
    return []
  } catch (error) {
    if (!isSluiceError(error, 'template')) throw error
    return error.details.map(({ column, message }) => `${column ?? 0} ${message}`)
  }
}

describe('a path', () => {
  it.each([
    '/a/{{ id }}',
    '/100%25/{{ id }}',
    '/a%2Fb/{{ id }}?q=%C3%BC',
    '/x/%{{ hex }}',
    '/x/%2{{ digit }}',
    '/x?a=/../&b={{ id }}',
    '/{{ a }}/..{{ b }}/c',
    '{% if a %}\n/x\n{% endif %}/{{ id }}',
    '{% capture x %}#100%/../{% endcapture %}/{{ x | url_encode }}',
    '{% comment %}# % {% endcomment %}/x/{{ id }}',
  ])('%j may be right', path => {
    expect(mistakes({ path })).toEqual([])
  })

  it.each([
    ['/100%/x', '1 the path has a "%"'],
    ['/100%', '1 the path has a "%"'],
    ['/100%/{{ id }}', '5 the path has a "%"'],
    ['/%zz/{{ id }}', '2 the path has a "%"'],
    ['/{{ id }}/%2x', '11 the path has a "%"'],
    ['/x/{{ id }}#top', '12 the path has a "#"'],
    ['{% if a %}/x#y{% endif %}/{{ id }}', '13 the path has a "#"'],
    ['/x/../{{ id }}', '3 the path has a ".." segment'],
    ['/{{ id }}/%2e%2E/y', '10 the path has a "%2e%2E" segment'],
    ['{% for row in rows %}/./{% endfor %}', '22 the path has a "." segment'],
  ])('%j is wrong for every row', (path, message) => {
    const told = mistakes(path.includes('rows') ? { path, batch: { size: 2, bytes: 100 } } : { path })
    expect(told).toEqual([expect.stringContaining(message)])
  })

  it('whose value has a stray % rejects its row', () => {
    const trigger = compileTrigger({ method: 'GET', path: '/{{ x | raw }}' }, { sync: 's', op: 'added' })
    const rendered = (x: string) =>
      trigger.render([{ row: { x }, previous: null, captured: {} }], {
        run: { id: '1', startedAt: '' },
        sync: { name: 's' },
      })
    expect(rendered('a%20b')).toMatchObject({ kind: 'rendered', path: '/a%20b' })
    expect(rendered('100%')).toMatchObject({
      kind: 'unrenderable',
      error: expect.stringContaining('write %25'),
    })
  })
})

describe('a header', () => {
  it.each([
    [{ A: 'x {{ id }}' }],
    [{ A: 'ü {{ id }}' }],
    [{ A: '\n  {{ id }}\n' }],
    [{ A: "{{ '–' | url_encode }}" }],
    [{ Host: 'api.test:8080' }],
    [{ Host: '{{ host }}' }],
  ])('%j may be right', headers => {
    expect(mistakes({ headers })).toEqual([])
  })

  it.each([
    [{ A: 'a – b' }, 'the header has "–", which headers cannot carry'],
    [{ A: 'a – {{ id }}' }, '3 the header has "–", which headers cannot carry'],
    [{ A: '{{ id }}{% if a %}“{% endif %}' }, '19 the header has "“"'],
    [{ A: 'a\u0007{{ id }}' }, '2 the header has U+0007'],
    [{ Host: 'a b' }, 'the header has to be a host'],
    [{ host: 'http://a' }, 'the header has to be a host'],
    [{ A: 'a', a: 'b' }, 'the header a is there twice'],
  ])('%j is wrong for every row', (headers, message) => {
    expect(mistakes({ headers })).toEqual([expect.stringContaining(message)])
  })

  it('Host whose value is no host rejects its row', () => {
    const trigger = compileTrigger(
      { method: 'GET', path: '/', headers: { Host: '{{ h }}' } },
      { sync: 's', op: 'added' },
    )
    const result = trigger.render([{ row: { h: 'a b' }, previous: null, captured: {} }], {
      run: { id: '1', startedAt: '' },
      sync: { name: 's' },
    })
    expect(result).toMatchObject({ kind: 'unrenderable', error: expect.stringContaining('a host') })
  })
})
