import { describe, expect, it } from 'vitest'
import { hostsFor } from './granted-hosts.ts'

const crm = {
  kind: 'destination',
  spec: {
    baseUrl: 'https://api.crm.test:8443/v2',
    headers: { 'X-Key': '${secret:CRM_KEY}' },
    auth: { oauth2: { tokenUrl: 'https://login.crm.test/token', clientSecret: '${secret:crm-client}' } },
  },
} as const
const plain = {
  kind: 'destination',
  spec: { baseUrl: 'http://api.plain.test', headers: { 'X-Key': '${secret:crm-key}' } },
} as const
const database = (spec: object) =>
  ({ kind: 'source', spec: { type: 'postgres', password: '${secret:db}', ...spec } }) as const

describe('the hosts for a secret', () => {
  it('are those of the APIs whose requests have it, if TLS guards the way', () => {
    expect(hostsFor('crm-key', [crm])).toBe('api.crm.test:8443')
    expect(hostsFor('crm-key', [plain])).toBe('')
    expect(hostsFor('crm', [crm, plain])).toBe('')
  })

  it('are none if several resources name it, since one of them may be there to get it', () => {
    const other = { kind: 'destination', spec: { ...crm.spec, baseUrl: 'https://other.test' } } as const
    expect(hostsFor('crm-key', [crm, other])).toBe('')
  })

  it('are also those of the tokens, if these are asked for with it', () => {
    expect(hostsFor('crm-client', [crm])).toBe('api.crm.test:8443, login.crm.test')
  })

  it('are those of the database servers that it opens', () => {
    const url = 'postgres://reader@db.test:5433/shop'
    expect(hostsFor('db', [database({ url })])).toBe('db.test source plain')
    expect(hostsFor('db', [database({ url, tls: {} })])).toBe('db.test source')
    expect(hostsFor('db', [database({ url, tls: { insecure: true } }), crm])).toBe('db.test source plain')
  })

  describe('that reads topics', () => {
    const topics = (spec: object) =>
      ({
        kind: 'source',
        spec: {
          ...{ type: 'kafka', brokers: ['one.test:9092', '[::1]:9093'] },
          ...{ sasl: { mechanism: 'plain', username: 'sluice', password: '${secret:sasl}' } },
          ...{ registry: 'https://sluice:${secret:registry}@registry.test/v1', ...spec },
        },
      }) as const

    it('are all of its brokers', () => {
      expect(hostsFor('sasl', [topics({})])).toBe('one.test source plain, [::1] source')
      expect(hostsFor('sasl', [topics({ tls: {} })])).toBe('one.test source, [::1] source')
      expect(hostsFor('sasl', [topics({ tls: { insecure: true } })])).toMatch(/^one[.]test source plain, /)
    })

    it('are the registry, for the password in its URL', () => {
      expect(hostsFor('registry', [topics({})])).toBe('registry.test source')
      const plain = 'http://${secret:user}:${secret:registry}@registry.test:8081'
      expect(hostsFor('registry', [topics({ registry: plain })])).toBe('registry.test source plain')
      expect(hostsFor('user', [topics({ registry: plain })])).toBe('registry.test source plain')
    })

    it('are brokers and registry, if both get the secret', () => {
      const registry = 'http://a:${secret:sasl}@registry.test'
      expect(hostsFor('sasl', [topics({ brokers: ['one.test:1'], registry })])).toBe(
        'one.test source plain, registry.test source plain',
      )
    })
  })

  it.each([
    'postgres://*.test/shop',
    'postgres://db.test,evil.test/shop',
    'postgres://db.test destination/x',
  ])('are none for %s, which would be read as a grant of more', url => {
    expect(hostsFor('db', [database({ url })])).toBe('')
  })

  it.each(['https://*.test', 'https://crm.test%2cevil.test'])('are none for %s, either', baseUrl => {
    expect(hostsFor('crm-key', [{ ...crm, spec: { ...crm.spec, baseUrl } }])).toBe('')
  })

  it('are none for an alert, whose address may be the secret itself', () => {
    expect(hostsFor('hook', [{ kind: 'alert', spec: { to: { url: '${secret:hook}' } } }])).toBe('')
  })
})
