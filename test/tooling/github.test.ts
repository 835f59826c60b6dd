/** The files for GitHub: each can be parsed, and the workflows give their jobs no right that is not named. */
import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(`${ROOT}/${path}`, 'utf8')

const workflow = z.object({
  name: z.string(),
  permissions: z.strictObject({ contents: z.literal('read') }),
  jobs: z.record(
    z.string(),
    z.object({
      if: z.string().optional(),
      needs: z.union([z.string(), z.array(z.string())]).optional(),
      'runs-on': z.literal('ubuntu-latest'),
      steps: z.array(z.object({ uses: z.string().optional(), run: z.string().optional() })),
    }),
  ),
})
const form = z.object({
  name: z.string(),
  description: z.string(),
  body: z.array(z.object({ type: z.string() })),
})

describe('the files for GitHub', () => {
  it.each(globSync('.github/workflows/*.yml', { cwd: ROOT }))('%s names rights and versions', path => {
    const { jobs } = workflow.parse(parse(read(path)))
    for (const { steps } of Object.values(jobs))
      for (const { uses, run } of steps) {
        expect(uses ?? run).toBeDefined()
        if (uses !== undefined) expect(uses).toMatch(/^[\w-]+\/[\w-]+@(v\d+(\.\d+\.\d+)?|[0-9a-f]{40})$/)
      }
  })

  it('run what a fresh clone has to pass', () => {
    expect(read('.github/workflows/ci.yml')).toContain('run: .ci/run')
  })

  it.each([
    ['release', 'SLUICE_RELEASES'],
    ['docs', 'SLUICE_DOCS'],
  ])('do nothing in %s.yml until a maintainer has set %s', (name, variable) => {
    const { jobs } = workflow.parse(parse(read(`.github/workflows/${name}.yml`)))
    const first = Object.values(jobs).filter(({ needs }) => needs === undefined)
    expect(first.map(job => job.if)).toEqual([`vars.${variable} == 'on'`])
  })

  it.each(['bug', 'feature'])('have a form for a %s', name => {
    expect(form.safeParse(parse(read(`.github/ISSUE_TEMPLATE/${name}.yml`))).success).toBe(true)
  })

  it.each(['.devcontainer/devcontainer.json', '.github/renovate.json'])('%s is JSON', path => {
    expect(() => JSON.parse(read(path)) as unknown).not.toThrow()
  })
})
