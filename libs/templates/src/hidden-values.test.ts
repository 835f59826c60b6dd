/**
 * Errors stand in topics, attempts and on terminals. A row's values must not get there whole through them.
 */
import { SluiceError } from '@sluice/contracts/errors'
import { describe, expect, it } from 'vitest'
import { compileTrigger } from './compile.ts'
import { FILTER_NAMES } from './filters/filters.ts'

const CONTEXT = { run: { id: '01JD', startedAt: '2024-02-29T12:34:56.000Z' }, sync: { name: 'orders' } }
/** No stretch of it repeats, so that a cut piece does not look like the whole. */
const VALUE = Array.from({ length: 60 }, (_, at) => `%p${at}-`).join('')
const ROW = { t: VALUE, l: [VALUE], m: { a: VALUE }, n: 1e300, z: null, b: new Uint8Array(9) }
const ARGUMENTS = ['', ': t', ': t, t', ": '%Y', t", ': l', ': m, l', ': n, t', ': b', ': z, t']
const MAX_SHOWN = 100

function errorsOf(template: string): string[] {
  const bodies = [
    { path: '/', body: { text: { contentType: 'text/plain', template } } },
    { path: '/', body: { json: template } },
    { path: `/../${template}/` },
  ]
  return bodies.flatMap(spec => {
    try {
      const trigger = compileTrigger({ method: 'POST', ...spec }, { sync: 'orders', op: 'added' })
      const made = trigger.render([{ row: ROW, previous: null, captured: null }], CONTEXT)
      return made.kind === 'unrenderable' ? [made.error] : []
    } catch (error) {
      if (error instanceof SluiceError) return [error.message, ...error.details.map(({ message }) => message)]
      throw error
    }
  })
}

describe.each([...FILTER_NAMES])('an error of the filter %s', name => {
  it('has no value whole, whatever its arguments', () => {
    for (const args of ARGUMENTS)
      for (const input of ['t', 'l', 'm', 'n', 'z', 'b', "'now'"])
        for (const error of errorsOf(`{{ ${input} | ${name}${args} }}`))
          for (const text of [VALUE, encodeURIComponent(VALUE), VALUE.toUpperCase()])
            expect(error).not.toContain(text.slice(0, MAX_SHOWN))
  })
})
