/** Rules, configuration and dashboards in deploy/ before a real Prometheus. */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { ensurePrograms } from '../../deploy/local/install.ts'

const run = promisify(execFile)
const DEPLOY = fileURLToPath(new URL('../../deploy', import.meta.url))

const dashboard = z.object({
  panels: z.array(z.object({ targets: z.array(z.object({ expr: z.string() })) })),
})

/** Gives the output of `promtool`. Rejects if it finds a mistake. */
async function promtool(...args: readonly string[]): Promise<string> {
  const [path = ''] = await ensurePrograms([{ command: 'promtool', debianPackage: 'prometheus' }])
  const { stdout } = await run(path, [...args])
  return stdout
}

it('the rules and the configuration are right', async () => {
  const said = await promtool('check', 'config', join(DEPLOY, 'prometheus/prometheus.yaml'))
  expect(said).toMatch(/SUCCESS: \d+ rules found/)
})

it('the rules tell what they are for, also of the first event of a process, and nothing else', async () => {
  const said = await promtool('test', 'rules', join(DEPLOY, 'prometheus/sluice-rules.test.yaml'))
  expect(said).toContain('SUCCESS')
})

it('the expressions of the dashboards can be read', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-panels-'))
  try {
    for (const file of await readdir(join(DEPLOY, 'grafana'))) {
      const text = await readFile(join(DEPLOY, 'grafana', file), 'utf8')
      const { panels } = dashboard.parse(JSON.parse(text))
      const rules = panels
        .flatMap(({ targets }) => targets)
        .map(({ expr }, index) => ({
          record: `panel:${index}`,
          expr: expr.replaceAll('$__rate_interval', '5m'),
        }))
      const asRules = join(folder, file)
      await writeFile(asRules, JSON.stringify({ groups: [{ name: 'panels', rules }] }))
      expect(await promtool('check', 'rules', asRules)).toContain(`SUCCESS: ${rules.length} rules found`)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
})

it('a mistake in an expression is found', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-panels-'))
  const file = join(folder, 'wrong.json')
  await writeFile(
    file,
    JSON.stringify({ groups: [{ name: 'g', rules: [{ record: 'r', expr: 'sum by (' }] }] }),
  )
  await expect(promtool('check', 'rules', file)).rejects.toThrow(/parse error/)
  await rm(folder, { recursive: true })
})
