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
const ADAPTER = 'libs/flow/src/adapters/planted.ts'
const CLI = 'services/cli/src/planted.ts'
const LONG_FUNCTION = `export function long(): void {\n${'  void 0\n'.repeat(71)}}`
const ASSERTION = `export const text = JSON.parse('"x"') as string`
const WIDE = 'word '.repeat(30).trim()

const REFUSED: readonly (readonly [what: string, rule: string, file: string, source: string])[] = [
  [
    'any',
    '@typescript-eslint/no-explicit-any',
    SOURCE,
    'export function take(value: any): void { void value }',
  ],
  [
    'what JSON.parse gives, unparsed',
    '@typescript-eslint/no-unsafe-return',
    SOURCE,
    'export function take(text: string): string { return JSON.parse(text) }',
  ],
  [
    'a decoder that drops a leading U+FEFF without a word',
    'no-restricted-syntax',
    SOURCE,
    'export const decoder = new TextDecoder()',
  ],
  ['a type assertion', '@typescript-eslint/consistent-type-assertions', SOURCE, ASSERTION],
  [
    'a non-null assertion',
    '@typescript-eslint/no-non-null-assertion',
    SOURCE,
    'export const take = (text: string | null): number => text!.length',
  ],
  [
    'a promise that nobody waits for',
    '@typescript-eslint/no-floating-promises',
    SOURCE,
    'export function go(): void { Promise.resolve() }',
  ],
  [
    'a switch that forgets a case',
    '@typescript-eslint/switch-exhaustiveness-check',
    SOURCE,
    `export function go(kind: 'a' | 'b'): void { switch (kind) { case 'a': return } }`,
  ],
  ['a type called Manager', '@typescript-eslint/naming-convention', SOURCE, 'export class RunManager {}'],
  [
    'a type with I in front',
    '@typescript-eslint/naming-convention',
    SOURCE,
    'export interface IRun { id: string }',
  ],
  ['a default export', 'no-restricted-syntax', SOURCE, 'export default 1'],
  ['console', 'no-console', SOURCE, `console.log('x')`],
  ['a long file', 'max-lines', SOURCE, 'void 0\n'.repeat(601)],
  ['a long function', 'max-lines-per-function', SOURCE, LONG_FUNCTION],
  [
    'five parameters',
    'max-params',
    SOURCE,
    'export const sum = (a: number, b: number, c: number, d: number, e: number): number => a + b + c + d + e',
  ],
  ['a long line', 'max-len', SOURCE, `export const sum = ${'1 + '.repeat(40)}1`],
  ['a wide comment', 'sluice/comment-width', SOURCE, `// ${WIDE}`],
  ['a file called helper', 'sluice/file-name', 'libs/flow/src/time-helpers.ts', 'export const a = 1'],
  ['a file in camel case', 'sluice/file-name', 'libs/flow/src/timeTravel.ts', 'export const a = 1'],
  ['a builtin without node:', 'no-restricted-imports', SOURCE, `export { readFile } from 'fs'`],
  ['node:test', 'no-restricted-imports', TEST, `export { it } from 'node:test'`],
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

const ALLOWED: readonly (readonly [what: string, file: string, source: string])[] = [
  ['a type assertion in an adapter', ADAPTER, ASSERTION],
  ['a type assertion in a test', TEST, ASSERTION],
  ['a long function in a test', TEST, LONG_FUNCTION],
  ['console in the command line', CLI, `console.log('x')`],
]

let folder: string
let eslint: ESLint

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'house-style-')))
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  for (const name of CONFIGURATION) await cp(join(ROOT, name), join(folder, name))
  const files = [SOURCE, TEST, ADAPTER, CLI, ...REFUSED.map(([, , file]) => file)]
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

  it.each(ALLOWED)('allow %s', async (_what, file, source) => {
    expect(await brokenRules(file, source)).toEqual([])
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
