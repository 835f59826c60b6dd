import { describe, expect, it } from 'vitest'
import { kafkaFields } from './topic-specs.ts'

describe('the registry of a source of topics', () => {
  it.each([
    'http://registry:8081',
    'https://reader:${secret:REGISTRY}@registry.test/api',
    'https://${secret:USER}:${secret:REGISTRY}@registry.test',
    'https://${secret:TOKEN}@registry.test',
    'https://reader@registry.test',
  ])('may be %s', url => {
    expect(kafkaFields.registry.safeParse(url).success).toBe(true)
  })

  it.each([
    'https://registry.test/${secret:REGISTRY}',
    'https://${secret:REGISTRY}.registry.test',
    'https://registry.test\\${secret:REGISTRY}@other.test',
    'https://reader:plain@registry.test',
    'https://re@der:plain@registry.test',
    'https://${secret:USER}:plain@registry.test',
    'HTTPS://reader:plain@registry.test',
    'https:reader:plain@registry.test',
    'https://registry.test?key=${secret:REGISTRY}',
  ])('may not be %s', url => {
    expect(kafkaFields.registry.safeParse(url).success).toBe(false)
  })
})
