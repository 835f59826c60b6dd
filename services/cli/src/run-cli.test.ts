import { renameSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { errorBody, validateView } from '@sluice/contracts/api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { STARTER_FILES } from './commands/init.ts'
import { COMMANDS } from './commands.ts'
import { runCli } from './run-cli.ts'

let root = ''
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'sluice-cli-'))
})
afterAll(async () => {
  await rm(root, { recursive: true, force: true })
})

interface Called {
  readonly code: number
  readonly out: string
  readonly err: string
}

async function call(
  argv: readonly string[],
  options: {
    env?: Record<string, string>
    isTTY?: boolean
    columns?: number
    cwd?: string
    command?: string
    signal?: AbortSignal
  } = {},
): Promise<Called> {
  let out = ''
  let err = ''
  const isTTY = options.isTTY ?? false
  const code = await runCli({
    argv,
    cwd: options.cwd ?? root,
    command: options.command ?? 'sluice',
    env: options.env ?? {},
    stdout: {
      write: text => (out += text),
      isTTY,
      ...(options.columns === undefined ? {} : { columns: options.columns }),
    },
    stderr: { write: text => (err += text), isTTY },
    signal: options.signal ?? new AbortController().signal,
  })
  return { code, out, err }
}

describe('help', () => {
  it.each([[[]], [['help']], [['--help']], [['-h']], [['--dir', '.']]])(
    'is what `sluice %j` shows',
    async argv => {
      const { code, out, err } = await call(argv)
      expect(code).toBe(0)
      expect(err).toBe('')
      for (const { name, summary } of COMMANDS)
        expect(out).toMatch(new RegExp(`^  ${name} +${summary}$`, 'm'))
      for (const option of ['--dir DIR', '--json', '--no-color']) expect(out).toContain(option)
    },
  )

  it.each(COMMANDS.map(({ name }) => name))('explains `sluice %s` with examples that parse', async name => {
    const { code, out } = await call([...name.split(' '), '--help'])
    expect(code).toBe(0)
    expect(out).toContain(`sluice ${name}`)
    expect(out).toContain('Examples')
    expect((await call(['help', ...name.split(' ')])).out).toBe(out)
    expect((await call(['--help', ...name.split(' ')])).out).toBe(out)
    for (const [line] of out.matchAll(/^ {2}sluice .*$/gm)) expect(line.length).toBeLessThan(160)
  })

  it.each([80, 120])(
    'of each command fits a terminal of %d columns, and tells its exit codes',
    async columns => {
      for (const { name } of COMMANDS) {
        const { out } = await call([...name.split(' '), '--help'], { isTTY: true, columns })
        const lines = stripVTControlCharacters(out).split('\n')
        // Commands that people copy are never broken.
        const long = lines.filter(line => line.length > columns && !/^ +(sluice|source|# yaml)/.test(line))
        expect([name, long]).toEqual([name, []])
        expect(lines.slice(lines.indexOf('Exit codes'))).toContainEqual(expect.stringMatching(/^ {2}0 +\w/))
      }
      const all = stripVTControlCharacters((await call([], { isTTY: true, columns })).out).split('\n')
      expect(all.filter(line => line.length > columns)).toEqual([])
    },
  )

  it.each([
    ['cancel', { 0: /was cancelled/, 1: /the run failed$/, 130: /interrupted/ }],
    ['replay', { 1: /failed/, 3: /not delivered/, 4: /guard/, 5: /cannot be reached/, 130: /interrupted/ }],
    ['discard', { 0: /discarded/, 3: /invalid$/ }],
    ['reset', { 0: /forgotten/, 1: /at work or queued/, 5: /cannot be reached/ }],
    ['apply', { 1: /not of this project/, 5: /cannot be reached/ }],
    ['diff', { 1: /not of this project/, 5: /cannot be reached/ }],
    ['rollback', { 1: /not of this project/, 5: /cannot be reached/ }],
    ['history', { 5: /cannot be reached/ }],
    ['syncs', { 5: /cannot be reached/ }],
    ['destinations', { 5: /cannot be reached/ }],
    ['row', { 5: /cannot be reached/ }],
    ['alerts', { 5: /cannot be reached/ }],
    ['alerts test', { 5: /was not taken/ }],
  ])('tells with which codes `sluice %s` exits', async (name, codes) => {
    const { out } = await call([...name.split(' '), '--help'])
    const told = new Map(
      [...out.slice(out.indexOf('Exit codes')).matchAll(/^ {2}(\d+) +(.*)$/gm)].map(([, code, text]) => [
        code,
        text,
      ]),
    )
    for (const [code, text] of Object.entries(codes))
      expect([code, told.get(code)]).toEqual([code, expect.stringMatching(text)])
  })

  it('explains a command instead of complaining about its arguments', async () => {
    expect((await call(['run', '--help'])).code).toBe(0)
  })
})

describe('wrong usage', () => {
  it.each([
    [['vali'], /There is no command `vali`. Did you mean `sluice validate`\?/],
    [['runs', 'shw'], /There is no sync `shw`|project|error/],
    [['xyzzy'], /There is no command `xyzzy`. `sluice help` lists the commands./],
    [['help', 'nonsense'], /There is no command `nonsense`/],
    [
      ['run'],
      /`sluice run` wants SYNC: the sync to run, or `--label`, or `--all`. `sluice run --help` explains it./,
    ],
    [['run', ''], /`sluice run` wants SYNC/],
    [['run', 'a', '--all'], /`--all` runs every sync: name none beside it/],
    [['failed', 'a', 'b'], /`sluice failed` takes only SYNC, found `b` beside it/],
    [['validate', 'x'], /`sluice validate` takes no argument, found `x` beside it/],
    [['validate', '--jsn'], /`sluice validate` has no option `--jsn`. Did you mean `--json`\?/],
    [['validate', '-x'], /`sluice validate` has no option `-x`/],
    [['validate', '--json=1'], /`--json` takes no value, found `1`/],
    [['validate', '--dir'], /`--dir` wants a value: `--dir DIR`/],
    [['validate', '--dir', ''], /`--dir` wants a value/],
    [['validate', '--dir', '--no-color'], /`--dir` wants a value: `--dir DIR`, found `--no-color`/],
    [['--dir', 'gone', 'validate'], /`--dir` wants an existing folder, found \/.*gone/],
    [['--dir'], /`--dir` wants a value: `--dir DIR`. `sluice help` explains it./],
    [['--nonsense'], /`sluice` has no option `--nonsense`/],
    [
      ['failed', 's', '--status', '99'],
      /`--status` wants an HTTP status such as 422, or a class such as 4xx, found `99`/,
    ],
    [
      ['retry', 's', '--status', '6xx'],
      /`--status` wants an HTTP status such as 422, or a class such as 4xx, found `6xx`/,
    ],
    [
      ['discard', 's', '--group', '3f2a91c07b1e'],
      /`--group` wants the id of a group, as `sluice failed` lists it, found `3f2a91c07b1e`/,
    ],
    [
      ['failed', 's', '--key', 'a', '--key', 'b'],
      /`--key` is given twice; call the command once for each row.*`--key '\["a", 1\]'`/,
    ],
    [['row', 's', '--key'], /`--key` wants a value: `--key KEY`/],
    [['send', 's', '--key', ''], /`sluice send` wants `--trigger TRIGGER`/],
    [['runs', '--limit', '5', '--limit', '6'], /`--limit` is given twice; keep one of them/],
    [['runs', '--limit', '0'], /`--limit` wants a whole number from 1 to 1000, found `0`/],
    [['runs', '--limit', '-5'], /`--limit` wants a whole number from 1 to 1000, found `-5`/],
    [['attempts', '--since', 'yesterday'], /`--since` wants how long ago .*found `yesterday`/],
  ])('%j exits with 2 and says what is right', async (argv, message) => {
    const { code, out, err } = await call(argv)
    expect(err).toMatch(message)
    expect(out).toBe('')
    expect(code).toBe(2)
  })

  it('is one JSON document on stdout with --json, wherever that option stands', async () => {
    for (const argv of [
      ['--json', 'vali'],
      ['vali', '--json'],
      ['run', '--json'],
      ['validate', '--jsn', '--json'],
    ]) {
      const { code, out, err } = await call(argv)
      expect(code).toBe(2)
      expect(err).toBe('')
      expect(errorBody.parse(JSON.parse(out)).error.code).toBe('usage')
    }
  })

  it('takes what follows `--` for arguments', async () => {
    expect((await call(['run', '--', '--json'])).err).toMatch(/There is no sync `--json`/)
  })
})

describe('validate', () => {
  it('counts resources and lists what it passed over', async () => {
    const dir = join(root, 'validated')
    await call(['init', dir])
    await writeFile(join(dir, 'compose.yml'), 'services: {}\n---\nother: {}\n')
    const { code, out, err } = await call(['validate', '--json', '--dir', dir])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(validateView.parse(JSON.parse(out))).toEqual({ ok: true, resources: 4, skipped: ['compose.yml'] })
    const text = (await call(['validate'], { cwd: dir })).out
    expect(text).toContain('✓ 4 resources, no errors')
    expect(text).toContain('compose.yml:1 has no kind')
    expect(text).toContain('compose.yml:3 has no kind')
  })

  it('reports every error with its place, for people and as JSON', async () => {
    const dir = await mkdtemp(join(root, 'wrong-'))
    await writeFile(
      join(dir, 'a.yaml'),
      'kind: source\nname: a\ntype: duckdb\npth: x\n---\nkind: modl\nname: b\n',
    )
    const people = await call(['validate'], { cwd: dir })
    expect(people.code).toBe(2)
    expect(people.out).toBe('')
    expect(people.err).toContain('has 2 errors')
    expect(people.err).toMatch(
      /^ {2}a.yaml:4:1 {2}pth\n {4}source `a`: unknown field `pth`; did you mean `path`\?/m,
    )
    const json = await call(['validate', '--json'], { cwd: dir })
    expect(json.code).toBe(2)
    expect(json.err).toBe('')
    const body = errorBody.parse(JSON.parse(json.out))
    expect(body.error.code).toBe('config')
    expect(body.error.details.map(({ file, line, field }) => ({ file, line, field }))).toEqual([
      { file: 'a.yaml', line: 4, field: 'pth' },
      { file: 'a.yaml', line: 6, field: 'kind' },
    ])
  })

  it('says what to do in an empty folder', async () => {
    const { code, out } = await call(['validate'], { cwd: await mkdtemp(join(root, 'empty-')) })
    expect(code).toBe(0)
    expect(out).toMatch(/There are no resources in .*`sluice init`/)
  })
})

describe('run', () => {
  it('sends nothing if a secret cannot be sent, and names it without its value', async () => {
    const dir = join(root, 'secretive')
    await call(['init', dir])
    const file = join(dir, 'connections.yaml')
    const header = 'headers: { Authorization: "Bearer ${secret:key}" }'
    await writeFile(file, (await readFile(file, 'utf8')).replace(/^baseUrl: .*$/m, `$&\n${header}`))
    const run = (value: string, ...argv: string[]) =>
      call([...argv, '--json'], { cwd: dir, env: { SLUICE_SECRET_KEY: value } })
    const { code, out } = await run('hush\nX-Evil: 1', 'run', 'customers')
    expect(code).toBe(2)
    expect(errorBody.parse(JSON.parse(out)).error.message).toMatch(
      /the header `Authorization` cannot be sent: with the secret `key` filled in it has a line break/,
    )
    expect(out).not.toContain('hush')
    await expect(readFile(join(dir, '.sluice', 'log.db'))).rejects.toThrow()
  })

  it('names `sluice up` for a stream, and leaves streams out of several syncs', async () => {
    const dir = join(root, 'streaming')
    await mkdir(dir)
    const stream = 'kind: sync\nname: people\nmodel: people\ndestination: api\nschedule: continuous'
    await writeFile(
      join(dir, 'sluice.yaml'),
      [
        'kind: source\nname: crm\ntype: postgres\nurl: postgres://reader@127.0.0.1:1/crm\nfollow: {}',
        'kind: model\nname: people\nsource: crm\ntable: public.people\nprimaryKey: id',
        'kind: destination\nname: api\nbaseUrl: http://127.0.0.1:1',
        `${stream}\ntriggers: { added: { method: PUT, path: '/{{ row.id }}' } }`,
      ].join('\n---\n'),
    )
    for (const argv of [
      ['run', 'people'],
      ['run', '--all'],
    ]) {
      const { code, err } = await call(argv, { cwd: dir })
      expect(code).toBe(2)
      expect(err).toMatch(/`people` is a stream, which `sluice up` follows/)
    }
  })

  it('says why it cannot make the folder for its log and state', async () => {
    const dir = join(root, 'nowhere')
    await call(['init', dir])
    await writeFile(join(dir, '.sluice'), '')
    const { code, err } = await call(['run', 'customers'], { cwd: dir })
    expect(code).toBe(2)
    expect(err).toMatch(/\.sluice has to be a folder that can be written/)
  })
})

describe('the project of a command', () => {
  it('is found upwards from where the command was called', async () => {
    const dir = join(await mkdtemp(join(root, 'around-')), 'shop')
    await call(['init', dir])
    for (const options of [
      { argv: ['validate'], cwd: join(dir, 'data') },
      { argv: ['validate', '--dir', join(dir, 'data')] },
    ])
      expect((await call(options.argv, options)).out).toContain('✓ 4 resources, no errors')
  })

  it('is named if it was moved while the command began', async () => {
    const dir = join(await mkdtemp(join(root, 'moved-')), 'shop')
    await call(['init', dir])
    const env = {
      get SLUICE_KAFKA_BROKERS(): string {
        renameSync(dir, `${dir}-2`)
        Object.defineProperty(this, 'SLUICE_KAFKA_BROKERS', { value: '' })
        return ''
      },
    }
    const { code, err } = await call(['doctor'], { cwd: dir, env })
    expect({ code, err }).toEqual({
      code: 2,
      err: expect.stringContaining(
        `The folder ${dir} is gone: it was moved or removed while the command`,
      ) as string,
    })
    expect(err).not.toContain('bug in Sluice')
  })

  it('is not a folder below which a project lies: the message says what to type', async () => {
    const above = await mkdtemp(join(root, 'above-'))
    await call(['init', 'the shop'], { cwd: above })
    for (const argv of [['run', 'customers'], ['runs'], ['secret', 'list'], ['validate']]) {
      const { code, out, err } = await call(argv, { cwd: above })
      expect({ code, out }).toEqual({ code: 2, out: '' })
      expect(err).toContain(`Another project lies in ${join(above, 'the shop')}, below ${above}`)
      expect(err).toContain(`\`sluice --dir 'the shop' ${argv[0] ?? ''}`)
    }
    const { code, out } = await call(['doctor'], { cwd: above })
    expect({ code, out }).toMatchObject({
      code: 0,
      out: expect.stringContaining('one lies below it') as string,
    })
    expect(out.replaceAll(/\s+/g, ' ')).toContain(`sluice --dir '${join(above, 'the shop')}' doctor`)
    expect(await readdir(above)).toEqual(['the shop'])
    expect((await call(['schema'], { cwd: above })).code).toBe(0)
  })

  it('is repeated in hints, with the command as it was called', async () => {
    const above = await mkdtemp(join(root, 'hints-'))
    await call(['init', 'shop'], { cwd: above })
    const { out } = await call(['validate', '--dir', 'shop'], { cwd: above, command: 'npx sluice' })
    expect(out).toContain('`npx sluice --dir shop run customers` sends what changed.')
    const { err } = await call(['runs', 'show', 'X', '--dir', 'shop'], { cwd: above })
    expect(err).toContain('`sluice --dir shop runs` lists the runs')
    expect((await call(['vali', '--dir', 'shop'], { cwd: above })).err).toContain('`sluice validate`')
  })
})

describe('init', () => {
  it('names the next commands so that they can be pasted where one is', async () => {
    const found = await call(['init', 'my shop'])
    expect(found.out).toContain("  cd 'my shop'\n  node receiver.mjs ")
    expect(found.out).toContain('  sluice run customers ')
    const typed = await call(['init', 'other'], { command: 'node_modules/.bin/sluice' })
    expect(typed.out).not.toContain('cd other')
    expect(typed.out).toContain('  node other/receiver.mjs ')
    expect(typed.out).toContain('  node_modules/.bin/sluice --dir other run customers ')
    // npx looks for the command in the folder and above.
    const below = await call(['init', 'below'], { command: 'npx sluice' })
    expect(below.out).toContain('  cd below\n  node receiver.mjs ')
    expect(below.out).toContain('  npx sluice run customers ')
    // Where nothing is installed, npx would fetch a package of that name.
    const npx = await call(['init', '../elsewhere'], { command: 'npx sluice', cwd: join(root, 'other') })
    expect(npx.out).toContain('  npx sluice --dir ../elsewhere runs ')
    const here = await call(['init'], { command: 'npx sluice', cwd: await mkdtemp(join(root, 'here-')) })
    expect(here.out).toContain('Next:\n  node receiver.mjs ')
    expect(here.out).toContain('  npx sluice runs ')
  })

  it('leaves nothing of a project that it cannot write whole', async () => {
    const dir = await mkdtemp(join(root, 'half-'))
    await writeFile(join(dir, 'data'), 'of somebody')
    const { code, err } = await call(['init'], { cwd: dir })
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining('cannot be ') as string })
    expect(await readdir(dir)).toEqual(['data'])
    await rm(join(dir, 'data'))
    expect((await call(['init'], { cwd: dir })).code).toBe(0)
  })

  it('writes a project that is valid, and says what to do next', async () => {
    const dir = join(root, 'new', 'project')
    const { code, out } = await call(['init', 'new/project'])
    expect(code).toBe(0)
    for (const file of [...STARTER_FILES, '.gitignore']) expect(out).toContain(`  ${file}`)
    expect(out).toContain('cd new/project')
    expect(await readFile(join(dir, '.gitignore'), 'utf8')).toMatch(/^\.sluice\/$/m)
    expect((await call(['validate'], { cwd: dir })).out).toMatch(/^ {2}project {6}project-[0-9a-f]{6}$/m)
  })

  it('writes nothing if it would overwrite a file', async () => {
    const dir = await mkdtemp(join(root, 'taken-'))
    await writeFile(join(dir, 'customers.yaml'), 'mine')
    const { code, err } = await call(['init'], { cwd: dir })
    expect(code).toBe(2)
    expect(err).toContain('already has `customers.yaml`')
    expect(await readFile(join(dir, 'customers.yaml'), 'utf8')).toBe('mine')
    await expect(readFile(join(dir, 'connections.yaml'))).rejects.toThrow()
  })

  it('makes no project within another project, since their files would clash', async () => {
    const outer = join(root, 'outer')
    await call(['init', outer])
    for (const dir of [join(outer, 'inner'), join(outer, 'a', 'b')]) {
      const { code, err } = await call(['init', dir])
      expect(code).toBe(2)
      expect(err).toContain(`lies in the project ${outer}`)
    }
    expect((await call(['validate'], { cwd: outer })).code).toBe(0)
    const runs = await mkdtemp(join(root, 'runs-'))
    await mkdir(join(runs, '.sluice'))
    await writeFile(join(runs, '.sluice/log.db'), '')
    expect((await call(['init', join(runs, 'x')])).err).toContain(`lies in the project ${runs}`)
  })

  it('adds a line to an existing .gitignore, once', async () => {
    const dir = await mkdtemp(join(root, 'ignored-'))
    await writeFile(join(dir, '.gitignore'), 'node_modules/')
    expect((await call(['init', '--json'], { cwd: dir })).code).toBe(0)
    expect(await readFile(join(dir, '.gitignore'), 'utf8')).toMatch(/^node_modules\/\n#.*\n\.sluice\/\n$/)
    for (const file of STARTER_FILES) await rm(join(dir, file))
    const again = await call(['init', '--json'], { cwd: dir })
    expect(JSON.parse(again.out)).toEqual({ dir, files: [...STARTER_FILES] })
  })

  it('adds no line to what a link in the place of .gitignore leads to', async () => {
    const dir = await mkdtemp(join(root, 'linked-'))
    const elsewhere = join(await mkdtemp(join(root, 'elsewhere-')), 'profile')
    await writeFile(elsewhere, 'mine')
    await symlink(elsewhere, join(dir, '.gitignore'))
    expect((await call(['init', '--json'], { cwd: dir })).code).toBe(0)
    expect(await readFile(elsewhere, 'utf8')).toBe('mine')
  })

  it('says why it cannot write', async () => {
    const file = join(await mkdtemp(join(root, 'file-')), 'x')
    await writeFile(file, '')
    for (const folder of [file, '/proc/x', '/proc/x/y', '/dev/null/x']) {
      const { code, err } = await call(['init', folder])
      expect(code).toBe(2)
      expect(err).toContain('cannot be written')
    }
  })
})

describe('schema', () => {
  it('is a JSON Schema of every kind, with scalars and references allowed', async () => {
    const { code, out } = await call(['schema'])
    expect(code).toBe(0)
    const schema: unknown = JSON.parse(out)
    expect(schema).toMatchObject({
      $schema: 'http://json-schema.org/draft-07/schema#',
      oneOf: [
        { properties: { kind: { const: 'source' }, title: { type: ['string', 'number', 'boolean'] } } },
        { properties: { type: { const: 'sqlite' } } },
        { properties: { type: { const: 'postgres' }, url: {}, password: {} } },
        { properties: { type: { const: 'mysql' }, tls: { properties: { insecure: {} } } } },
        { properties: { type: { const: 'kafka' }, brokers: {}, registry: {} } },
        { properties: { kind: { const: 'model' } } },
        { properties: { kind: { const: 'destination' } } },
        {
          properties: {
            kind: { const: 'sync' },
            partitions: { anyOf: [{ type: 'integer', minimum: 1, maximum: 64 }, {}] },
          },
          required: ['kind', 'name', 'model', 'destination', 'triggers'],
          additionalProperties: false,
        },
        { properties: { kind: { const: 'alert' } } },
        {
          properties: {
            kind: { const: 'project' },
            name: {},
            defaults: { properties: { schedule: {}, limits: {} } },
          },
          required: ['kind'],
        },
        {
          properties: { kind: { const: 'environment' }, variables: {}, destinations: {}, syncs: {} },
          required: ['kind'],
        },
      ],
    })
  })
})

describe('colours', () => {
  it('are for terminals, unless switched off', async () => {
    const coloured = await call([], { isTTY: true })
    expect(coloured.out).not.toBe(stripVTControlCharacters(coloured.out))
    for (const options of [
      { argv: ['--no-color'], isTTY: true },
      { argv: [], isTTY: true, env: { NO_COLOR: '1' } },
      { argv: [], isTTY: true, env: { TERM: 'dumb' } },
      { argv: [], isTTY: false },
    ]) {
      const { out } = await call(options.argv, options)
      expect(out).toBe(stripVTControlCharacters(out))
    }
    expect((await call(['vali'], { isTTY: true })).err).toContain('\u001b[')
    expect((await call([], { isTTY: true, env: { NO_COLOR: '' } })).out).toContain('\u001b[')
  })
})

describe('the level of the log', () => {
  const runsWith = async (level: string, ...more: string[]): Promise<Called> => {
    const cwd = await mkdtemp(join(root, 'level-'))
    await writeFile(join(cwd, 'sluice.yaml'), '')
    return await call(['runs', ...more], { cwd, env: { SLUICE_LOG_LEVEL: level } })
  }

  it.each(['loud', 'INFO'])('is refused if there is no %s, with those that there are', async level => {
    const { code, err } = await runsWith(level)
    const told = `SLUICE_LOG_LEVEL: "${level}" is not right: expected one of trace, debug, info,`
    expect(err.split(told)).toHaveLength(2)
    expect(code).toBe(2)
    expect((await runsWith(level, '--json')).out).toContain('"details":[{"field":"SLUICE_LOG_LEVEL"')
  })

  it('is silent if the variable is empty', async () => {
    expect(await runsWith('')).toMatchObject({ code: 0, err: '' })
  })
})

describe('an interrupt', () => {
  it('exits with 130 and says nothing', async () => {
    const { code, err } = await call(['validate'], { signal: AbortSignal.abort() })
    expect({ code, err }).toEqual({ code: 130, err: '' })
  })
})
