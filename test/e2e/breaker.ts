/** A destination that is dead, as people meet it: the run ends soon, says why, and nothing is lost. */
import { describe, expect, it } from 'vitest'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { manyPeople, peopleYaml, SYNC } from './people-project.ts'
import type { Profile } from './profiles.ts'

const PEOPLE = 400
const FAILURES = 20
const CONCURRENCY = 10
const PROJECT = peopleYaml({
  destination:
    `limits: { rate: { requests: 5000, per: second }, concurrency: ${CONCURRENCY} }\n` +
    `breaker: { failures: ${FAILURES}, pause: 300ms }`,
})

export function breakerSuite(profile: Profile): void {
  describe(`${profile.name}: a destination that is dead`, () => {
    it('ends a run soon, and the next one sends everything once it is back', async () => {
      await using api = await startScriptedApi()
      const files = { 'project.yaml': PROJECT, 'people.csv': manyPeople(PEOPLE) }
      await using world = await profile.open({ files, env: { API_URL: api.url }, here: true })
      const { project } = world
      let isDead = true
      api.on({}, () => ({ status: isDead ? 500 : 200 }))

      const dead = await project.run(SYNC)
      expect(dead, world.logs()).toMatchObject({ exitCode: 3, view: { status: 'warning' } })
      const sent = api.requests.length
      expect(sent).toBeGreaterThanOrEqual(FAILURES + 3)
      expect(sent).toBeLessThanOrEqual(FAILURES + CONCURRENCY + 3)
      expect(dead.view.triggers.added).toMatchObject({ unknown: sent, unsent: PEOPLE - sent })
      const [unsent] = (await project.failed(SYNC)).filter(({ outcome }) => outcome === 'unsent')
      expect(unsent?.error).toMatch(/^the breaker is open since .*Z, after \d+ failures/)

      const again = await project.run(SYNC)
      // Embedded, a process begins anew, and may have a look for itself before the pause is over.
      const looks = profile.name === 'embedded' ? 2 : 1
      expect(api.requests.length - sent).toBeGreaterThanOrEqual(1)
      expect(api.requests.length - sent).toBeLessThanOrEqual(looks)
      expect(again).toMatchObject({ exitCode: 3 })

      isDead = false
      expect(await project.run(SYNC), world.logs()).toMatchObject({ exitCode: 0 })
      expect(new Set(api.requests.map(({ url }) => url)).size).toBe(PEOPLE)
      expect(await project.failed(SYNC)).toEqual([])
    })
  })
}
