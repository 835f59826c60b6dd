/**
 * Processes of the last release and of this version read each other's records, so that an upgrade and a
 * downgrade replace one process after the other. Registries call this FULL_TRANSITIVE. If a test fails here,
 * give a new field a default, and put a new value into a new field in place of an enum that is there.
 */
import { describe, expect, inject, it } from 'vitest'
import { presentSchemas, schemasOfLastRelease } from '../test/last-release.ts'
import { differencesInShape, incompatibilities } from './compatibility.ts'

const given = inject('registryUrl')
const present = presentSchemas()
const cases = Object.entries(schemasOfLastRelease()).map(([name, then]) => ({ name, then }))

describe('the schemas of the last release', () => {
  it.each(cases)('$name is read by this version, and reads its records', ({ name, then }) => {
    const now = present[name]
    if (now === undefined) throw new Error(`this version has no ${name} any more`)
    expect(incompatibilities(now, then)).toEqual([])
    expect(incompatibilities(then, now)).toEqual([])
    expect(differencesInShape(now, then)).toEqual([])
    expect(differencesInShape(then, now)).toEqual([])
  })
})

describe.skipIf(given === null)('a registry with the level FULL_TRANSITIVE', () => {
  const url = given ?? ''
  const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json' }

  async function call(method: string, path: string, body: object): Promise<number> {
    const response = await fetch(`${url}/${path}`, { method, headers, body: JSON.stringify(body) })
    await response.arrayBuffer()
    return response.status
  }

  it.each(cases)('takes $name of this version after that of the last release', async ({ name, then }) => {
    const subject = `last-release.${Date.now().toString(36)}.${name}`
    const register = (schema: object): Promise<number> =>
      call('POST', `subjects/${subject}/versions`, { schema: JSON.stringify(schema) })
    expect(await register(then)).toBe(200)
    expect(await call('PUT', `config/${subject}`, { compatibility: 'FULL_TRANSITIVE' })).toBe(200)
    expect(await register(present[name] ?? {})).toBe(200)
    // The level is at work: a field without a default is refused.
    const later = { name: 'later', type: 'string' }
    expect(await register({ ...then, fields: [...then.fields, later] })).toBe(409)
  })
})
