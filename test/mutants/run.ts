/**
 * Plants bugs, one at a time, and sees whether the test that is named for each fails: npm run test:mutants
 * [-- NAME…]. `-- --list` prints what each breaks, by rule. A planted bug is a patch in this folder whose
 * head says what it breaks and which test notices:
 *
 *     Breaks: PROTOCOL.md §2: an unknown attempt makes a later failure unknown
 *     Fails: unit libs/domain/src/answers/outcome.test.ts
 *     Test: keeps a later failure unknown
 *
 * It works on a copy of the checkout, so that the checkout itself is never wrong.
 */
import { spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FOLDER = fileURLToPath(new URL('.', import.meta.url))
/** Fixed, so that a verdict is the same each time. */
const SEEDS = { SLUICE_TEST_SEED: '1', SLUICE_TEST_HISTORIES: '12' }
const NOT_COPIED = new Set(['node_modules', '.git', '.nx', 'docs'])

interface Mutant {
  readonly name: string
  readonly breaks: string
  readonly project: string
  readonly file: string
  readonly test: string
  readonly patch: string
}

type Verdict = 'caught' | 'survived' | 'no such test' | 'does not apply'

const wanted = process.argv.slice(2)
if (wanted.includes('--list')) {
  const lines = (await readMutants()).map(({ name, breaks }) => `${breaks} (${name})\n`)
  process.stdout.write(lines.toSorted(new Intl.Collator('en', { numeric: true }).compare).join(''))
  process.exit(0)
}
const mutants = (await readMutants()).filter(({ name }) => wanted.length === 0 || wanted.includes(name))
if (mutants.length === 0) {
  process.stderr.write(`no planted bug is named ${wanted.join(', ')}\n`)
  process.exit(2)
}
const copy = await mkdtemp(join(tmpdir(), 'sluice-mutants-'))
let missed = 0
try {
  await copyCheckout()
  for (const mutant of mutants) {
    const verdict = await judge(mutant)
    if (verdict !== 'caught') missed += 1
    const mark = verdict === 'caught' ? '✓' : '✗'
    process.stdout.write(`${mark} ${verdict.padEnd(14)} ${mutant.name}: ${mutant.breaks}\n`)
  }
} finally {
  await rm(copy, { recursive: true, force: true })
}
process.stdout.write(`\n${mutants.length - missed} caught, ${missed} not\n`)
process.exitCode = missed === 0 ? 0 : 1

async function readMutants(): Promise<readonly Mutant[]> {
  const files = (await readdir(FOLDER)).filter(file => file.endsWith('.patch')).toSorted()
  return Promise.all(
    files.map(async file => {
      const text = await readFile(join(FOLDER, file), 'utf8')
      const field = (name: string): string => {
        const found = new RegExp(`^${name}: (.+)$`, 'm').exec(text)?.[1]
        if (found === undefined) throw new Error(`${file} has no line "${name}: …"`)
        return found
      }
      const [project = '', path = ''] = field('Fails').split(' ')
      const patch = join(FOLDER, file)
      return {
        name: file.slice(0, -'.patch'.length),
        breaks: field('Breaks'),
        project,
        file: path,
        test: field('Test'),
        patch,
      }
    }),
  )
}

/**
 * The sources as they are, and links to all that is installed; the packages of this project are the copy's
 * own.
 */
async function copyCheckout(): Promise<void> {
  await cp(ROOT, copy, {
    recursive: true,
    filter: source => !NOT_COPIED.has(relative(ROOT, source).split('/').at(-1) ?? ''),
  })
  const folders = ['.', ...(await workspaceFolders())]
  for (const folder of folders) await linkPackages(folder)
  await mkdir(join(copy, 'node_modules', '@sluice'), { recursive: true })
  for (const folder of await workspaceFolders()) {
    const manifest: { readonly name: string } = JSON.parse(
      await readFile(join(ROOT, folder, 'package.json'), 'utf8'),
    )
    if (manifest.name.startsWith('@sluice/'))
      await symlink(join(copy, folder), join(copy, 'node_modules', manifest.name))
  }
}

async function workspaceFolders(): Promise<readonly string[]> {
  const folders: string[] = []
  for (const parent of ['libs', 'services'])
    for (const name of await readdir(join(ROOT, parent))) folders.push(join(parent, name))
  return folders
}

async function linkPackages(folder: string): Promise<void> {
  const installed = join(ROOT, folder, 'node_modules')
  const names = await readdir(installed).catch(() => [])
  for (const name of names) {
    if (name === '@sluice') continue
    const link = join(copy, folder, 'node_modules', name)
    await mkdir(dirname(link), { recursive: true })
    await symlink(join(installed, name), link)
  }
}

async function judge(mutant: Mutant): Promise<Verdict> {
  if ((await run('git', ['apply', '--unidiff-zero', mutant.patch])) !== 0) return 'does not apply'
  try {
    const { test, failed } = await outcomeOf(mutant)
    return failed ? 'caught' : test === 0 ? 'no such test' : 'survived'
  } finally {
    await run('git', ['apply', '--unidiff-zero', '-R', mutant.patch])
  }
}

/** Counts the tests of that name, and says whether one of them failed. */
async function outcomeOf({
  project,
  file,
  test,
}: Mutant): Promise<{ readonly test: number; readonly failed: boolean }> {
  const report = join(copy, 'mutant-report.json')
  await writeFile(report, '')
  const name = test.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  const reporting = ['--bail=1', '--reporter=json', `--outputFile=${report}`]
  await run(process.execPath, [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--project',
    project,
    file,
    '-t',
    name,
    ...reporting,
  ])
  const text = await readFile(report, 'utf8')
  if (text === '') return { test: 0, failed: false }
  const { testResults }: Report = JSON.parse(text)
  const ran = testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(({ status }) => status !== 'skipped')
  return { test: ran.length, failed: ran.some(({ status }) => status === 'failed') }
}

interface Report {
  readonly testResults: readonly { readonly assertionResults: readonly { readonly status: string }[] }[]
}

function run(command: string, args: readonly string[]): Promise<number> {
  const child = spawn(command, args, { cwd: copy, stdio: 'ignore', env: { ...process.env, ...SEEDS } })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => resolve(code ?? 1))
  })
}
