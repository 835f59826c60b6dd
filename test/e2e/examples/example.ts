/** The tests of docs/examples share a copy of an example that goes to a pretend API, and its rows. */
import { expect } from 'vitest'
import type { RunView } from '@sluice/contracts/api'
import type { Profile } from '../embedded-profile.ts'

export interface Example extends AsyncDisposable {
  /** Runs the sync, and expects its exit code: 0 for success, 3 for a warning. */
  run(exitCode?: 0 | 3): Promise<RunView['triggers']>
  /** Replaces a text in the file of rows, or appends a line in place of nothing. */
  edit(from: string, to: string): Promise<void>
  /** Replaces a text in one of the example's files. */
  change(name: string, from: string, to: string): Promise<void>
  /** The rows of the file, each by the names of its header. Nothing is null. */
  rows(): Promise<readonly { readonly [column: string]: string }[]>
  failed(): Promise<
    readonly { readonly key: string; readonly outcome: string; readonly error: string | null }[]
  >
  /**
   * Expects that no secret stands in topics, attempts, or what commands print. A preview costs as much as a
   * run.
   */
  expectNoSecrets(options?: NoSecretsOptions): Promise<void>
  logs(): string
}

export interface NoSecretsOptions {
  readonly preview?: boolean
  /** Values to look for beside the example's own, such as access tokens. */
  readonly besides?: readonly string[]
}

export interface ExampleOptions {
  /** A folder below docs/examples, with a file of rows and a sync. */
  readonly folder: string
  readonly file: string
  readonly sync: string
  readonly env: { readonly [name: string]: string }
  readonly secrets: { readonly [name: string]: string }
  /** Files that everybody has to provide for themselves. */
  readonly files?: { readonly [file: string]: string }
}

/** With it services encrypt the access tokens that they share. */
const KEY = Buffer.from('the key of the examples, 32 long').toString('base64')

export async function openExample(profile: Profile, options: ExampleOptions): Promise<Example> {
  const { folder, sync, secrets, files = {} } = options
  const file = `data/${options.file}`
  const env: { [name: string]: string } = { ...options.env, SLUICE_ENCRYPTION_KEY: KEY }
  for (const [name, value] of Object.entries(secrets)) {
    const variable = `SLUICE_SECRET_${name.toUpperCase().replaceAll('-', '_')}`
    env[variable] = value
    env[`${variable}_FOR`] = '127.0.0.1'
  }
  const opened = await profile.open({ from: `docs/examples/${folder}`, files, env, here: true })
  const { project } = opened
  // The API of the test is at 127.0.0.1. Without this, services on Kafka would not go there.
  const yaml = await project.read(`${folder}.yaml`)
  await project.write(`${folder}.yaml`, yaml.replace(/^baseUrl: .*$/m, '$&\nallowPrivateNetwork: true'))
  const printed: string[] = []
  return {
    async run(wanted = 0) {
      const { exitCode, view } = await project.run(sync)
      printed.push(JSON.stringify(view))
      expect(exitCode, JSON.stringify([view, await project.failed(sync)])).toBe(wanted)
      return view.triggers
    },
    async edit(from, to) {
      const csv = await project.read(file)
      expect(csv).toContain(from)
      await project.write(file, from === '' ? csv + to : csv.replace(from, to))
    },
    async change(name, from, to) {
      const text = await project.read(name)
      expect(text).toContain(from)
      await project.write(
        name,
        text.replace(from, () => to),
      )
    },
    rows: async () => rowsOf(await project.read(file)),
    failed: () => project.failed(sync),
    async expectNoSecrets({ preview = false, besides = [] } = {}) {
      if (preview) {
        const { stdout, stderr } = await project.sluice('preview', sync, '--json')
        expect(stdout).toContain('requests')
        printed.push(stdout, stderr)
      }
      const attempts = await project.attempts('--sync', sync)
      expect(attempts.length).toBeGreaterThan(0)
      const all = [...printed, JSON.stringify(attempts), await opened.stored(sync)].join('\n')
      for (const value of [...Object.values(secrets), ...besides, KEY].flatMap(linesOf))
        for (const shown of [value, Buffer.from(value).toString('base64'), encodeURIComponent(value)])
          expect(all.includes(shown), 'a secret stands where it must not').toBe(false)
    },
    logs: () => opened.logs(),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  }
}

/** The parts of a secret by which it would be found: of a key in PEM, its lines. */
function linesOf(secret: string): readonly string[] {
  return secret.split('\n').filter(line => line.length > 8 && !line.startsWith('-----'))
}

/** Fields of CSV in their order: quoted ones, and plain ones. */
const FIELD = /(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g

function rowsOf(csv: string): readonly { readonly [column: string]: string }[] {
  const [header = '', ...lines] = csv.trimEnd().split('\n')
  const columns = fieldsOf(header)
  return lines.map(line => {
    const fields = fieldsOf(line)
    return Object.fromEntries(columns.map((column, index) => [column, fields[index] ?? '']))
  })
}

function fieldsOf(line: string): readonly string[] {
  return [...line.matchAll(FIELD)].map(([, quoted, plain = '']) => quoted?.replaceAll('""', '"') ?? plain)
}
