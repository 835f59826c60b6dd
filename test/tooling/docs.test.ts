/** The pages for people: each link leads somewhere. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FENCE = /^ *(?:```|~~~)/

const pages = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.md'], { cwd: ROOT })
  .toString()
  .split('\n')
  .filter(page => page !== '' && existsSync(join(ROOT, page)))

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
    if (heading === undefined) continue
    const name = heading
      .replaceAll(/\]\([^)]*\)/g, '')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-')
    let anchor = name
    for (let count = 1; anchors.has(anchor); count += 1) anchor = `${name}-${count}`
    anchors.add(anchor)
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
    const args = [
      'grep',
      '-hoE',
      'docs/[A-Za-z/-]+\\.md(#[a-z-]+)?',
      '--',
      'libs',
      'services',
      'test',
      'deploy',
    ]
    const named = new Set(execFileSync('git', args, { cwd: ROOT }).toString().trim().split('\n'))
    const wrong = await Promise.all([...named].map(link => whatIsWrong('README.md', link)))
    expect(wrong.filter(problem => problem !== null)).toEqual([])
  })
})
