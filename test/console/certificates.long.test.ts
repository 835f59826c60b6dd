/** The overview tells when the certificates of a destination end. */
import { makeCertificate } from '@sluice/testkit/make-certificates'
import { expect, it } from 'vitest'
import { peopleYaml } from '../e2e/people-project.ts'
import { expectAccessible } from './console-page.ts'
import { consoleSuite } from './console-suite.ts'

const server = makeCertificate({ name: 'api of the shop', days: 10.5 })
const client = makeCertificate({ name: 'sluice', days: 90.5, by: server })
const TLS = 'tls: { ca: "${file:ca.pem}", cert: "${file:client.pem}", key: "${secret:client-key}" }'

const suite = consoleSuite({
  files: {
    'project.yaml': peopleYaml({ destination: TLS }),
    'people.csv': 'id,name\n1,Ann\n',
    'ca.pem': server.cert,
    'client.pem': client.cert,
  },
  env: { SLUICE_SECRET_CLIENT_KEY: client.key },
  api: { tls: { ...server, ca: server.cert } },
})

it('tells nothing before a run has seen them', async () => {
  const { page, served } = suite
  await page.goto(served.url)
  await page.getByText('used by 1 sync').waitFor()
  expect(await page.getByText(/certificate/i).count()).toBe(0)
})

it('warns of one that ends within 30 days, names the day, and tells of one that does not', async () => {
  const { page, served, api } = suite
  await served.project.sluice('run', 'people')
  expect(api.requests).toHaveLength(1)
  await page.goto(served.url)
  const badge = page.locator('.badge', { hasText: 'certificate ends in 10 days' })
  await badge.waitFor()
  expect(await badge.getAttribute('data-tone')).toBe('warn')
  await page.getByText('The certificate of its server (CN=api of the shop) ends at').waitFor()
  const other = page.getByText('client certificate ends in 90 days')
  expect(await other.getAttribute('title')).toMatch(/ · \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/)
  expect(await page.locator('.badge', { hasText: 'client certificate' }).count()).toBe(0)
  await expectAccessible(page, 'a certificate that ends soon')
})

it('says that one has ended', async () => {
  const { page, served } = suite
  await page.clock.setFixedTime(Date.now() + 11 * 86_400_000)
  await page.goto(served.url)
  const badge = page.locator('.badge', { hasText: 'certificate has ended' })
  await badge.waitFor()
  expect(await badge.getAttribute('data-tone')).toBe('bad')
  expect(suite.browser.complaints).toEqual([])
})
