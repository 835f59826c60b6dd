/**
 * The style rules, each shown a piece of source that breaks it, in a room of an overlay that has the real
 * configuration.
 */
import { cp, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ESLint } from 'eslint'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CONFIGURATION = ['eslint.config.js', 'eslint.rules.js', 'tsconfig.json', 'tsconfig.base.json']

const SOURCE = 'libs/flow/src/planted.ts'
const TEST = 'libs/flow/src/planted.test.ts'
const WIDE = 'word '.repeat(30).trim()

/** The rules are ESLint's own or house rules; what is tried is what this project has written of them. */
const REFUSED: readonly (readonly [what: string, rule: string, file: string, source: string])[] = [
  [
    'a decoder that drops a leading U+FEFF without a word',
    'no-restricted-syntax',
    SOURCE,
    'export const decoder = new TextDecoder()',
  ],
  ['a type called Manager', '@typescript-eslint/naming-convention', SOURCE, 'export class RunManager {}'],
  [
    'a type with I in front',
    '@typescript-eslint/naming-convention',
    SOURCE,
    'export interface IRun { id: string }',
  ],
  ['a default export', 'no-restricted-syntax', SOURCE, 'export default 1'],
  ['a wide comment', 'sluice/comment-width', SOURCE, `// ${WIDE}`],
  ['a file called helper', 'sluice/file-name', 'libs/flow/src/time-helpers.ts', 'export const a = 1'],
  ['a file in camel case', 'sluice/file-name', 'libs/flow/src/timeTravel.ts', 'export const a = 1'],
  [
    'another package by a relative path',
    'no-restricted-imports',
    SOURCE,
    `export { code } from '../../contracts/src/errors.ts'`,
  ],
  [
    'a skipped test',
    'no-restricted-syntax',
    TEST,
    `import { it } from 'vitest'\nit.skip('x', () => undefined)`,
  ],
]

let folder: string
let eslint: ESLint

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'house-style-')))
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  for (const name of CONFIGURATION) await cp(join(ROOT, name), join(folder, name))
  const files = [SOURCE, TEST, ...REFUSED.map(([, , file]) => file)]
  for (const file of files) {
    await mkdir(dirname(join(folder, file)), { recursive: true })
    await writeFile(join(folder, file), '')
  }
  eslint = new ESLint({ cwd: folder, fix: false })
})

afterAll(async () => {
  await rm(folder, { recursive: true })
})

async function brokenRules(file: string, source: string): Promise<readonly (string | null)[]> {
  const results = await eslint.lintText(source, { filePath: join(folder, file) })
  return results.flatMap(result => result.messages.map(message => message.ruleId))
}

describe('the style rules', () => {
  it.each(REFUSED)('refuse %s', async (_what, rule, file, source) => {
    expect(await brokenRules(file, source)).toContain(rule)
  })
})

describe('the fix for wide comments', () => {
  async function fixed(source: string): Promise<string | undefined> {
    const fixing = new ESLint({ cwd: folder, fix: message => message.ruleId === 'sluice/comment-width' })
    const results = await fixing.lintText(source, { filePath: join(folder, SOURCE) })
    return results[0]?.output
  }
  const words = (count: number): string => Array.from({ length: count }, () => 'word').join(' ')

  it('wraps one line into a block and loses no word', async () => {
    const output = await fixed(`/** ${words(30)}. */\nexport const a = 1\n`)
    expect(output).toBe(`/**\n * ${words(21)}\n * ${words(8)} word.\n */\nexport const a = 1\n`)
  })

  it('wraps line comments where they stand', async () => {
    const output = await fixed(`{\n  // ${words(30)}\n  // ${words(2)}\n}\n`)
    expect(output).toBe(`{\n  // ${words(21)}\n  // ${words(11)}\n}\n`)
  })

  it('wraps a list item below its text and leaves other paragraphs alone', async () => {
    const output = await fixed(`/**\n * Short\n * lines.\n *\n * - ${words(30)}\n * - short\n */\n`)
    expect(output).toBe(
      `/**\n * Short\n * lines.\n *\n * - ${words(21)}\n *   ${words(9)}\n * - short\n */\n`,
    )
  })
})
