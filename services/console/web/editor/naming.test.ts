import { describe, expect, it } from 'vitest'
import { nameIn } from './draft.ts'
import { titled } from './naming.ts'

/** Types a title letter by letter, and returns the name after each. */
function typed(title: string, stored: readonly string[], start = 'kind: destination\nname: api\n') {
  let text = start
  let given: string | null = null
  return Array.from(title, (_, at) => {
    const isNew = !stored.includes(nameIn(text))
    const next = titled(text, title.slice(0, at + 1), { isNew, isOwn: false, given })
    ;({ text, given } = next)
    return nameIn(text)
  })
}

describe('the name of a new resource', () => {
  it('follows its title', () => {
    expect(typed('A b', [])).toEqual(['a', 'a', 'a-b'])
  })

  it('goes on to follow it after it was that of a stored resource for a moment', () => {
    expect(typed('CRM eu', ['crm']).at(-1)).toBe('crm-eu')
  })

  it('stays while the title has no letter that a name may have, or the user has written a name', () => {
    expect(typed('!', [])).toEqual(['api'])
    const own = { isNew: true, isOwn: true, given: null }
    expect(nameIn(titled('name: mine\n', 'A title', own).text)).toBe('mine')
  })
})

it('the name of a stored resource stays whatever its title is', () => {
  expect(typed('CRM', ['api'])).toEqual(['api', 'api', 'api'])
})
