import { describe, expect, it } from 'vitest'
import { registryParts, registryUrl } from './registry-url.ts'

describe('the address of a schema registry', () => {
  it('is read into its parts, and written from them', () => {
    for (const [text, url, user, secret] of [
      ['', '', '', ''],
      ['http://registry:8081', 'http://registry:8081', '', ''],
      ['https://reader@registry:8081/v7', 'https://registry:8081/v7', 'reader', ''],
      ['https://a%40b:${secret:kafka-registry}@registry', 'https://registry', 'a@b', 'kafka-registry'],
      ['https://:${secret:token}@registry', 'https://registry', '', 'token'],
    ] as const) {
      expect(registryParts(text), text).toEqual({ url, user, secret })
      expect(registryUrl({ url, user, secret }), text).toBe(text)
    }
  })

  it('cannot be taken apart with a password in it', () => {
    expect(registryParts('https://reader:plain@registry')).toBeNull()
  })

  it('has no login without an address', () => {
    expect(registryUrl({ url: 'regi', user: 'reader', secret: '' })).toBe('regi')
  })
})
