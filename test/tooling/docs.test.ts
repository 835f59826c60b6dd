/**
 * The pages for people: each link leads somewhere, and the examples and tables of the reference are right.
 */
import { existsSync, globSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RESOURCE_SCHEMAS } from '@sluice/contracts/resources'
import { loadProject } from '@sluice/project/load-project'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { anchorOf } from '../../services/console/web/heading-anchor.mjs'
import { apiPage } from './api-table.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FENCE = /^ *(?:```|~~~)/

const pages = globSync(['*.md', '.github/**/*.md', 'docs/**/*.md'], { cwd: ROOT })
const sources = globSync('{libs,services,test,deploy}/**/*.{ts,tsx,mjs}', {
  cwd: ROOT,
  exclude: path => path.endsWith('node_modules'),
})

/** The lines of a page that stand in no block of code. */
function prose(text: string): readonly string[] {
  let isCode = false
  return text.split('\n').filter(line => {
    if (!FENCE.test(line)) return !isCode
    isCode = !isCode
    return false
  })
}

/** The anchors of a page, as GitHub makes them of its headings. */
function anchorsOf(text: string): ReadonlySet<string> {
  const anchors = new Set<string>()
  for (const line of prose(text)) {
    const heading = /^#+ +(.*)$/.exec(line)?.[1]
    if (heading !== undefined) anchorOf(heading, anchors)
  }
  return anchors
}

/** The targets of a page's links, without those to other sites. */
function linksOf(text: string): readonly string[] {
  const written = prose(text)
    .join('\n')
    .replaceAll(/`[^`\n]*`/g, code => (code.includes('](') ? '' : code))
  return [...written.matchAll(/\]\(([^()\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter(target => !/^[a-z]+:/.test(target))
}

/** Says what is wrong with a link. Null if it leads to a file or folder, and to a heading if it names one. */
async function whatIsWrong(page: string, link: string): Promise<string | null> {
  const [path = '', anchor] = link.split('#')
  const file = path === '' ? join(ROOT, page) : join(ROOT, dirname(page), path)
  if (!existsSync(file)) return `${page}: ${link} leads to no file`
  if (anchor === undefined) return null
  return anchorsOf(await readFile(file, 'utf8')).has(anchor) ? null : `${page}: ${link} leads to no heading`
}

describe('links', () => {
  it.each(pages)('of %s lead to files and headings', async page => {
    const links = linksOf(await readFile(join(ROOT, page), 'utf8'))
    const wrong = await Promise.all(links.map(link => whatIsWrong(page, link)))
    expect(wrong.filter(problem => problem !== null)).toEqual([])
  })
})

describe('messages and comments', () => {
  it('name pages and headings that exist', async () => {
    const texts = await Promise.all(sources.map(source => readFile(join(ROOT, source), 'utf8')))
    const named = new Set(texts.flatMap(text => text.match(/docs\/[A-Za-z/-]+\.md(?:#[a-z0-9-]+)?/g) ?? []))
    expect(named.size).toBeGreaterThan(10)
    const wrong = await Promise.all([...named].map(link => whatIsWrong('README.md', link)))
    expect(wrong.filter(problem => problem !== null)).toEqual([])
  })
})

/** The blocks of a page that begin with the name of their file, such as `# orders.yaml`. */
function filesOf(text: string): ReadonlyMap<string, string> {
  const blocks = text.matchAll(/^```yaml\n# (\S+\.yaml)\n([^]*?)^```$/gm)
  return new Map([...blocks].map(([, file = '', yaml = '']) => [file, yaml]))
}

/** The names of all fields in a JSON Schema, at any depth. */
function fieldsOf(schema: unknown): readonly string[] {
  if (typeof schema !== 'object' || schema === null) return []
  const { properties } = { properties: undefined, ...schema }
  const own = typeof properties === 'object' && properties !== null ? Object.keys(properties) : []
  return [...own, ...Object.values(schema).flatMap(fieldsOf)]
}

const reference = (page: string): Promise<string> =>
  readFile(join(ROOT, 'docs/reference', `${page}.md`), 'utf8')

describe('the index of decisions', () => {
  it('has each of them by its title, with a date, a status and a sentence', async () => {
    const folder = join(ROOT, 'docs/decisions')
    const index = await readFile(join(folder, 'README.md'), 'utf8')
    for (const file of globSync('*.md', { cwd: folder }).filter(name => name !== 'README.md')) {
      const [head = ''] = (await readFile(join(folder, file), 'utf8')).split('\n')
      const title = head.replace('# ', '')
      const row = index.split('\n').find(line => line.startsWith(`| [${title}](${file}) `))
      expect(row, `the row of ${file}`).toMatch(
        /\| \d{4}-\d\d-\d\d +\| (holds|replaced by \[.+\]\(.+\)) +\| \S.+\. +\|$/,
      )
    }
  })
})

describe('the reference', () => {
  it.each([
    ...['project', 'environment', 'secrets', 'source', 'model', 'destination'],
    ...['sync', 'trigger', 'answers', 'alert', 'templates', 'values'],
  ])('has a whole example of %s that is right', async page => {
    const files = filesOf(await reference(page))
    expect(files.size).toBeGreaterThan(0)
    const dir = await mkdtemp(join(tmpdir(), 'sluice-docs-'))
    try {
      await Promise.all([...files].map(([file, yaml]) => writeFile(join(dir, file), yaml)))
      const environment = [...files.keys()].map(file => /^sluice\.(.+)\.yaml$/.exec(file)?.[1]).find(Boolean)
      const env = environment === undefined ? {} : { SLUICE_ENV: environment }
      const { resources } = await loadProject(dir, { env, signal: AbortSignal.timeout(10_000) })
      expect(resources.size).toBeGreaterThan(0)
    } finally {
      await rm(dir, { recursive: true })
    }
  })

  it('has the operations of the API as their table has them', async () => {
    const { present, wanted } = await apiPage()
    expect(present, 'npx node test/tooling/api-table.ts writes it').toBe(wanted)
  })

  it('names every field of project files', async () => {
    const pages = [
      'project',
      'source',
      'model',
      'destination',
      'sync',
      'trigger',
      'answers',
      'alert',
      'secrets',
    ]
    const text = (await Promise.all(pages.map(reference))).join('\n')
    const schemas = Object.values(RESOURCE_SCHEMAS).map(schema => z.toJSONSchema(schema, { io: 'input' }))
    const missing = fieldsOf(schemas).filter(field => !new RegExp(`\\b${field}\\b`).test(text))
    expect([...new Set(missing)]).toEqual([])
  })
})
