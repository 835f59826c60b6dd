/**
 * Measures `sluice test` with 100 cases: the time of the command, and the CPU time of its process. A quarter
 * of the cases each has a new row, an answer that fails, a changed row and a removed row. The last two run
 * the sync twice.
 *
 * Run: npm run bench:sync-tests [-- --cases 100 --rounds 3].
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { linkedBundle } from '../../deploy/package/linked-bundle.ts'
import { median } from './median.ts'
import { runTimed } from './usage.ts'

const { values } = parseArgs({
  options: { cases: { type: 'string', default: '100' }, rounds: { type: 'string', default: '3' } },
})
const COMMAND = join(await linkedBundle(), 'sluice.mjs')
const PROJECT = `
{ kind: source, name: files, type: duckdb, path: . }
---
{ kind: model, name: people, source: files, sql: select 1, primaryKey: id }
---
{ kind: destination, name: crm, baseUrl: 'https://crm.example/v1' }
---
kind: sync
name: people
model: people
destination: crm
errors: { retry: now }
triggers:
  added: { method: POST, path: /people, body: { json: '{"id": {{ row.id }}, "name": {{ row.name | json }}}' } }
  changed: { method: PUT, path: '/people/{{ row.id }}', body: { json: '{"name": {{ row.name | json }}}' } }
  removed: { method: DELETE, path: '/people/{{ row.id }}' }
`
const KINDS = [
  `rows: [{ id: 1, name: Ann }], requests: [{ trigger: added, json: { id: 1, name: Ann } }]`,
  `rows: [{ id: 1, name: Ann }], answers: [{ status: 503 }], requests: [{ method: POST }, { method: POST }]`,
  `before: [{ id: 1, name: Ann }], rows: [{ id: 1, name: Bo }], requests: [{ trigger: changed, path: /people/1 }]`,
  `before: [{ id: 1, name: Ann }], rows: [], requests: [{ trigger: removed, path: /people/1 }]`,
]

const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
try {
  const cases = Array.from(
    { length: Number(values.cases) },
    (_, n) => `  - { name: case ${n}, ${KINDS[n % 4] ?? ''} }`,
  )
  await writeFile(join(folder, 'project.yaml'), PROJECT)
  await writeFile(join(folder, 'people.test.yaml'), `sync: people\ncases:\n${cases.join('\n')}\n`)
  const rounds: { readonly seconds: number; readonly cpu: number }[] = []
  for (let round = 0; round < Number(values.rounds); round += 1) rounds.push(await measured())
  const [seconds, cpu] = [median(rounds.map(each => each.seconds)), median(rounds.map(each => each.cpu))]
  console.log(`${values.cases} cases: ${seconds.toFixed(1)} s, ${cpu.toFixed(1)} s of CPU; medians`)
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function measured(): Promise<{ readonly seconds: number; readonly cpu: number }> {
  const startedAt = performance.now()
  const { usage } = await runTimed([process.execPath, COMMAND, '--dir', folder, 'test'])
  return { seconds: (performance.now() - startedAt) / 1000, cpu: usage.cpuSeconds }
}
