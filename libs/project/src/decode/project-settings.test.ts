import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isSluiceError, type ErrorDetail } from '@sluice/contracts/errors'
import type { SyncSpec } from '@sluice/contracts/resources'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadProject, loadUsable } from '../load-project.ts'
import { resolveDefinition } from '../project.ts'

let dir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-defaults-'))
})
afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

const BATCH =
  '  added: { method: POST, path: /x, batch: {}, capture: { id: $.id }, body: { jsonColumn: a } }\n'
const sync = (name: string, fields = '', triggers = '  added: { method: POST, path: /x }\n') =>
  `---\nkind: sync\nname: ${name}\nmodel: m\ndestination: d\n${fields}triggers:\n${triggers}`
const REST =
  'kind: source\nname: s\ntype: duckdb\npath: .\n---\nkind: destination\nname: d\nbaseUrl: http://x\n---\n' +
  'kind: model\nname: m\nsource: s\nsql: select 1 as id\nprimaryKey: id\n'

/** A folder in which the file of the syncs comes before that of the defaults. */
async function write(settings: string, ...syncs: readonly string[]): Promise<void> {
  await writeFile(join(dir, 'all.yaml'), [REST, ...syncs].join(''))
  await writeFile(join(dir, 'sluice.yaml'), settings)
}

const options = (env: { readonly [name: string]: string } = {}) => ({
  env,
  signal: new AbortController().signal,
})

async function syncOf(name: string, env?: { readonly [name: string]: string }): Promise<SyncSpec> {
  return resolveDefinition(await loadProject(dir, options(env)), name).sync
}

const told = (details: readonly ErrorDetail[]): readonly string[] =>
  details.map(
    ({ file, line, column, field, message }) =>
      `${[file, line, column].join(':')} ${field ?? ''}: ${message}`,
  )

async function problems(loading: Promise<unknown>): Promise<readonly string[]> {
  const error: unknown = await loading.then(
    () => new Error('nothing was thrown'),
    (reason: unknown) => reason,
  )
  if (!isSluiceError(error, 'config')) throw error
  return told(error.details)
}

describe('defaults for the syncs of a folder', () => {
  it('are the fields of each sync that lacks them', async () => {
    await write(
      'kind: project\ndefaults:\n  schedule: { every: 15m }\n  paused: true\n  firstRun: skip-existing\n' +
        '  timeout: 5s\n  errors: { retry: now }\n  limits: { concurrency: 3 }\n  compare: all\n' +
        '  delivery: at-most-once\n  maxDuration: 1h\n  removalGuard: { rows: 7 }\n',
      sync('a'),
    )
    expect(await syncOf('a')).toMatchObject({
      schedule: { every: 900_000 },
      paused: true,
      firstRun: 'skip-existing',
      timeout: 5000,
      errors: { retry: 'now' },
      limits: { concurrency: 3 },
      compare: 'all',
      delivery: 'at-most-once',
      maxDuration: 3_600_000,
      removalGuard: { share: 0.5, rows: 7 },
    })
  })

  it('give way to what a sync writes, even where it writes what it would have without them', async () => {
    await write(
      'kind: project\ndefaults: { schedule: { every: 15m }, timeout: 5s, paused: true }\n',
      sync('a', 'schedule: manual\ntimeout: 30s\npaused: false\n'),
      sync('b', 'timeout: 1s\n'),
    )
    expect(await syncOf('a')).toMatchObject({ schedule: 'manual', timeout: 30_000, paused: false })
    expect(await syncOf('b')).toMatchObject({ schedule: { every: 900_000 }, timeout: 1000, paused: true })
  })

  it('are taken or left as a whole, with nothing of a map merged into another', async () => {
    await write(
      'kind: project\ndefaults:\n  limits: { concurrency: 3, rate: { requests: 5, per: second } }\n' +
        '  errors: { retry: now, giveUpAfter: 3 }\n',
      sync('a', 'limits: { concurrency: 9 }\nerrors: {}\n'),
    )
    const { limits, errors } = await syncOf('a')
    expect(limits).toEqual({ concurrency: 9 })
    expect(errors).not.toMatchObject({ giveUpAfter: 3 })
    expect(errors?.retry).not.toBe('now')
  })

  it('leave a folder without them as it is', async () => {
    await write('kind: project\n', sync('a'))
    const without = await syncOf('a')
    await writeFile(join(dir, 'sluice.yaml'), 'kind: project\ndefaults: {}\n')
    expect(await syncOf('a')).toEqual(without)
    expect(without).toMatchObject({ schedule: 'manual', timeout: 30_000 })
  })

  it('take references to the environment, and have their places in sluice.yaml', async () => {
    await write('kind: project\ndefaults:\n  timeout: ${LIMIT}\n', sync('a'), sync('b', 'timeout: 1s\n'))
    const project = await loadProject(dir, options({ LIMIT: '7s' }))
    expect(resolveDefinition(project, 'a').sync.timeout).toBe(7000)
    const place = (name: 'a' | 'b') => project.origins.get(`sync/${name}`)?.get('timeout')?.place
    expect(place('a')).toEqual({ file: 'sluice.yaml', line: 3, column: 12 })
    expect(place('b')).toMatchObject({ file: 'all.yaml' })
  })

  it('count where the rules of a sync look at several of its fields', async () => {
    await write('kind: project\n', sync('a', '', BATCH))
    expect(await problems(loadProject(dir, options()))).toEqual([
      expect.stringMatching(/^all.yaml:\d+:\d+ triggers.added.capture: sync `a`: wanted `batch` left out/),
    ])
    await writeFile(
      join(dir, 'sluice.yaml'),
      'kind: project\ndefaults:\n  errors:\n    rowResults: [{ as: delivered, items: "$.items[*]", row: { a: $.a } }]\n',
    )
    expect((await syncOf('a')).errors?.rowResults).toHaveLength(1)
  })
})

describe('a mistake in the defaults', () => {
  it.each([
    [
      'scheduel: manual',
      /^3:3 defaults.scheduel: project: unknown field `scheduel`; did you mean `schedule`\?/,
    ],
    [
      'triggers: {}',
      /^3:3 defaults.triggers: project: unknown field `triggers`; the fields of `defaults` are/,
    ],
    ['partitions: 8', /^3:3 defaults.partitions: project: unknown field `partitions`/],
    ['timeout: soon', /^3:12 defaults.timeout: project: wanted a duration .* found `soon`/],
    ['timeout: ${GONE}', /^3:12 defaults.timeout: project: .*`GONE` is not set/],
    ['timeout: "${secret:x}"', /^3:12 defaults.timeout: project: `\$\{secret:x\}` is not allowed here/],
    ['schedule: 15m', /^3:13 defaults.schedule: project: .*write `\{ every: 15m \}`$/],
    ['schedule: { cron: "* * *" }', /^3:21 defaults.schedule.cron: project: /],
    [
      'errors: { answers: [{ status: 200, json: "$[", as: rejected }] }',
      /^3:\d+ defaults.errors.answers\[0\].json: project: /,
    ],
    ['limits:', /^3:\d+ defaults.limits: project: wanted a map, found nothing/],
  ])('`%s` is told once, with its place in sluice.yaml', async (field, message) => {
    await write(`kind: project\ndefaults:\n  ${field}\n`, sync('a'), sync('b'))
    const [told, ...others] = await problems(loadProject(dir, options()))
    expect(told?.replace('sluice.yaml:', '')).toMatch(message)
    expect(others).toEqual([])
  })

  it.each([
    ['an unknown field', 'kind: project\ndefaults: { delivry: at-most-once }\n'],
    ['broken YAML in their document', 'kind: project\ndefaults: { delivery: at-most-once\n'],
    ['another place', 'x: 1\n---\nkind: project\ndefaults: { delivery: at-most-once }\n'],
    ['a file that is not UTF-8', 'kind: project\0\n'],
  ])('stops every sync: %s', async (_, settings) => {
    await write(settings, sync('a'))
    const project = await loadUsable(dir, options())
    expect(() => resolveDefinition(project, 'a')).toThrow(
      /^The sync `a` cannot be used: it, or a resource that it uses, has an error/,
    )
    expect(told(project.blocked.get('sync/a') ?? [])).toEqual([expect.stringMatching(/^sluice.yaml:/)])
  })

  it('stops no sync if it is in a later document of sluice.yaml', async () => {
    await write('kind: project\ndefaults: { delivery: at-most-once }\n---\nkind: model\nname: [\n', sync('a'))
    const project = await loadUsable(dir, options())
    expect(resolveDefinition(project, 'a').sync.delivery).toBe('at-most-once')
  })
})
