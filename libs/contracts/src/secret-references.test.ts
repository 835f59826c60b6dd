import { describe, expect, it } from 'vitest'
import { processorMs } from '@sluice/testkit/processor-ms'
import { fillSecrets, secretNames, withoutReferences } from './secret-references.ts'

/** Reading a text once takes a few of these. Reading it again for each beginning takes seconds. */
const MAX_MS = 500

describe('secret references', () => {
  it('fills in secrets and undoes escapes', () => {
    const text = 'Bearer ${secret:token} $${secret:not} $$'
    expect(fillSecrets(text, name => `<${name}>`)).toBe('Bearer <token> ${secret:not} $$')
  })

  it('leaves secrets that hold references as they are', () => {
    expect(fillSecrets('${secret:a}', () => '${secret:b}$&$1')).toBe('${secret:b}$&$1')
  })

  it('names each secret once, escaped ones not at all', () => {
    expect(secretNames('${secret:b} ${secret:a} ${secret:b} $${secret:c}')).toEqual(['b', 'a'])
    expect(secretNames('plain $ { text')).toEqual([])
  })

  it.each(['${secret:a}', '$${x}', '$$${secret:a}', 'plain', '${', '$'])(
    'gives %j back after escaping it',
    text => {
      expect(fillSecrets(withoutReferences(text), () => 'SECRET')).toBe(text)
    },
  )

  it('looks for the end of a reference that has none once, and not once for each that begins', async () => {
    const text = `\${secret:a}$\${x ${'${secret:'.repeat(25_000)}`
    const took = await processorMs(() => {
      expect(secretNames(text)).toEqual(['a'])
      expect(fillSecrets(text, () => 'A')).toBe(`A\${x ${'${secret:'.repeat(25_000)}`)
    })
    expect(took).toBeLessThan(MAX_MS)
  })
})
