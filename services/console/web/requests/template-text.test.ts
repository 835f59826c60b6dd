import { describe, expect, it } from 'vitest'
import { namesSaid, splitAtNames, templateOf } from './template-text.ts'

const added = { method: 'POST', path: '/people', body: { json: '{\n  "mail": {{ row.email | json }}\n}\n' } }

describe('the template that made a request', () => {
  it('belongs to the trigger, or to the one that the trigger refers to', () => {
    const text =
      'method: POST\npath: /people\nbody:\n  json: |\n    {\n      "mail": {{ row.email | json }}\n    }'
    expect(templateOf({ triggers: { added } }, 'added')).toBe(text)
    expect(templateOf({ triggers: { added, changed: 'added' } }, 'changed')).toBe(text)
    expect(templateOf({ triggers: { added } }, 'removed')).toBeNull()
  })

  it('marks the names that the answer mentions: keys of JSON, fields, and columns', () => {
    const names = namesSaid('HTTP 422: mail: unknown field {"error":"mail: unknown field"}')
    expect(splitAtNames('{"id": 1, "mail": {{ row.email | json }}}', names)).toEqual([
      '{"id": 1, ',
      '"mail"',
      ': {{ row.email | json }}}',
    ])
    expect(splitAtNames('    mail: email', names)).toEqual(['    ', 'mail', ': email'])
    expect(splitAtNames('{{ row.mail }}', names)).toEqual(['{{ row.', 'mail', ' }}'])
    expect(splitAtNames('a text about mail', names)).toEqual(['a text about mail'])
  })

  it("ignores words that most answers have, and the trigger's own fields", () => {
    const names = namesSaid('HTTP 400: error: the path and the method are not known')
    expect(splitAtNames('path: /people', names)).toEqual(['path: /people'])
    expect(splitAtNames('{"error": 1}', names)).toEqual(['{"error": 1}'])
  })
})
