/** A destination that is dead, as people meet it: the run ends soon, says why, and nothing is lost. */
import { describe, expect, it } from 'vitest'
import { startScriptedApi, type RecordedRequest } from '@sluice/testkit/scripted-api'
import { manyPeople, peopleYaml, SYNC } from './people-project.ts'
import { distributedProfiles, type Profile } from './profiles.ts'

const PEOPLE = 400
const FAILURES = 20
const CONCURRENCY = 10
const PAUSE_MS = 300
/** The clock of the limits counts whole milliseconds. */
const CLOCKS_MS = 2
const PROJECT = peopleYaml({
  destination:
    `limits: { rate: { requests: 5000, per: second }, concurrency: ${CONCURRENCY} }\n` +
    `breaker: { failures: ${FAILURES}, pause: ${PAUSE_MS}ms }`,
})

/** Counts those of the last requests that came a pause after the one before, as probes do. */
function probesAtEnd(requests: readonly RecordedRequest[]): number {
  const isProbe = requests.map(({ arrivedAt }, index) => {
    const before = requests[index - 1]
    return before !== undefined && arrivedAt - before.arrivedAt >= PAUSE_MS - CLOCKS_MS
  })
  return isProbe.length - 1 - isProbe.lastIndexOf(false)
}

function breakerSuite(profile: Profile): void {
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
      // The pause of the first one begins when the breaker opens, with others still under way.
      const probes = 1 + probesAtEnd(api.requests)
      expect(probes).toBeGreaterThanOrEqual(3)
      expect(sent).toBeGreaterThanOrEqual(FAILURES + 3)
      expect(sent).toBeLessThanOrEqual(FAILURES + CONCURRENCY + probes)
      expect(dead.view.triggers.added).toMatchObject({ unknown: sent, unsent: PEOPLE - sent })
      const [unsent] = (await project.failed(SYNC)).filter(({ outcome }) => outcome === 'unsent')
      expect(unsent?.error).toMatch(
        /^`.+` answers HTTP 500[.] \d+ requests in a row failed, and Sluice stopped sending at .*Z$/,
      )

      const again = await project.run(SYNC)
      const looks = api.requests.slice(sent)
      expect(looks.length).toBeGreaterThanOrEqual(1)
      expect(looks.length).toBeLessThanOrEqual(2)
      // Embedded, a process begins anew, and may have a look for itself before the pause is over.
      // Distributed, the run looks twice only where a whole pause went by before it could ask what its first
      // look came to.
      expect(probesAtEnd(looks)).toBe(looks.length - 1)
      expect(again).toMatchObject({ exitCode: 3 })

      isDead = false
      expect(await project.run(SYNC), world.logs()).toMatchObject({ exitCode: 0 })
      expect(new Set(api.requests.map(({ url }) => url)).size).toBe(PEOPLE)
      expect(await project.failed(SYNC)).toEqual([])
    })
  })
}

distributedProfiles().forEach(breakerSuite)
