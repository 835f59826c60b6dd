/**
 * Runs of batches whose rows have outcomes of their own, killed with SIGKILL one after the other. The API
 * halves batches, names rows, fails some for a while and some for ever. So at each kill, parts of requests
 * are under way or wait. Every good row arrives, no bad one does, counts add up, and repeats are bounded (R7,
 * R8, R14).
 */
import { randomInt } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { randomFrom, type Random } from '@sluice/testkit/random'
import { startScriptedApi, type ScriptedAnswer } from '@sluice/testkit/scripted-api'
import { manyPeople, peopleYaml, SYNC } from '../e2e/people-project.ts'
import { projectFolder } from '../e2e/project-folder.ts'
import { killWhileItSends } from './killed-run.ts'

/** Projects played at a time. They mostly wait for the API. */
const SIDE_BY_SIDE = 3
const KILLS = 10
const ROWS = 3000
const BATCH = 10
const CONCURRENCY = 10
const KILLED_WITHIN_MS = 1500
const SLOWEST_MS = 300

/** With a short time-out, since the run after a kill waits for it, and 2 s more (PROTOCOL.md §8). */
const SETTINGS = `timeout: 3s
errors:
  retry: now
  attempts: 4
  backoff: { first: 200ms, max: 400ms }
  splitBatches: true
  rowResults:
    - { items: '$.results[*]', row: { id: '$.id' }, as: delivered }
    - { items: '$.errors[*]', row: { index: '$.index' }, as: rejected, error: '$.message' }`
const ADDED = `method: POST, path: /people, batch: { size: ${BATCH} }, capture: { at: $.at }, body: { json: '[{% for row in rows %}{{ row.id }},{% endfor %}]' }`

/** Takes rows one by one, or refuses a batch as a whole; remembers what it took under which keys. */
class BatchApi {
  readonly #random: Random
  readonly #failsLeft = new Map<number, number>()
  /** The keys under which a row was taken. */
  readonly taken = new Map<number, Set<string>>()

  constructor(random: Random) {
    this.#random = random
  }

  static isBad(id: number): boolean {
    return id % 211 === 0
  }

  answer(ids: readonly number[], key: string): ScriptedAnswer {
    // One that cannot be in a batch with others: the whole batch is refused, without a word on why.
    if (ids.some(id => id % 53 === 0) && ids.length > 1) return { status: 422 }
    if (ids.length === 1 && ids.every(BatchApi.isBad)) return { status: 400, body: '{"message":"bad"}' }
    const results: object[] = []
    const errors: object[] = []
    for (const [index, id] of ids.entries()) {
      const left = this.#failsLeft.get(id) ?? this.#random.pick([0, 0, 0, 0, 0, 0, 0, 1, 2])
      this.#failsLeft.set(id, Math.max(0, left - 1))
      if (left > 0 || BatchApi.isBad(id)) errors.push({ index, message: `not yet ${id}` })
      else {
        results.push({ id, at: `place-${id}` })
        this.taken.set(id, (this.taken.get(id) ?? new Set()).add(key))
      }
    }
    return { status: errors.length === 0 ? 200 : 207, body: JSON.stringify({ results, errors }) }
  }
}

function idsIn(body: string): readonly number[] {
  const ids: readonly number[] = JSON.parse(body)
  return ids
}

describe('runs of batches whose rows have outcomes of their own, killed one after the other', () => {
  it.concurrent.for(Array.from({ length: SIDE_BY_SIDE }, (_, index) => index + 1))(
    `lose no row and take none twice, after ${KILLS} kills (%d of ${SIDE_BY_SIDE})`,
    { timeout: KILLS * 60_000 },
    async () => {
      const seed = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))
      const random = randomFrom(seed)
      const seen = `SLUICE_TEST_SEED=${seed}`
      await using server = await startScriptedApi()
      const api = new BatchApi(random)
      let isSlow = true
      server.on({}, ({ body, headers }) => ({
        ...api.answer(idsIn(body), headers['idempotency-key'] ?? ''),
        // So a kill finds requests under way that the API has taken.
        delayMs: isSlow ? random.below(SLOWEST_MS) : 0,
      }))
      const destination = `limits: { rate: { requests: 60, per: second }, concurrency: ${CONCURRENCY} }`
      const yaml = peopleYaml({ destination, sync: SETTINGS, triggers: `\n  added: { ${ADDED} }` })
      const files = { 'project.yaml': yaml, 'people.csv': manyPeople(ROWS) }
      await using project = await projectFolder({ files, env: { API_URL: server.url } })
      for (let kill = 1; kill <= KILLS; kill += 1)
        await killWhileItSends(project, server, random.below(KILLED_WITHIN_MS))
      isSlow = false
      await project.write('project.yaml', yaml.replace('requests: 60', 'requests: 2000'))
      const bad = Array.from({ length: ROWS }, (_, index) => index + 1).filter(BatchApi.isBad)
      expect(await project.run(SYNC), seen).toMatchObject({ exitCode: 3, view: { status: 'warning' } })
      expect(api.taken.size, seen).toBe(ROWS - bad.length)
      for (const id of bad) expect(api.taken.has(id), seen).toBe(false)
      for (const [id, keys] of api.taken) expect([...keys], `${seen}: keys of row ${id}`).toHaveLength(1)
      const used = server.requests.map(({ headers }) => headers['idempotency-key'])
      const repeats = used.length - new Set(used).size
      process.stderr.write(`${KILLS} kills, ${used.length} requests, ${repeats} repeated (${seen})\n`)
      expect(repeats, seen).toBeLessThanOrEqual(KILLS * 2 * CONCURRENCY)
      for (const { triggers, status } of await project.runs()) {
        const { detected = 0, delivered = 0, rejected = 0, unknown = 0, unsent = 0 } = triggers.added ?? {}
        if (status === 'warning' || status === 'failed')
          expect(delivered + rejected + unknown + unsent, seen).toBe(detected)
        // No good row was left to a later run for want of tries.
        if (status === 'warning') expect([rejected + unknown, unsent], seen).toEqual([bad.length, 0])
      }
      const sent = server.requests.length
      expect(await project.run(SYNC), seen).toMatchObject({
        view: { triggers: { added: { detected: bad.length, delivered: 0, rejected: bad.length } } },
      })
      const again = server.requests.slice(sent).flatMap(({ body }) => idsIn(body))
      expect(new Set(again), seen).toEqual(new Set(bad))
    },
  )
})
