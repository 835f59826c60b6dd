import { describe, expect, it } from 'vitest'
import { fillSecrets, secretNames, withoutReferences } from './secret-references.ts'

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
})
