/** The documentation site: which pages its navigation has, and which links it calls dead. */
import { globSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { deadLinks } from '../../deploy/site/links.ts'
import { ROOT, addressOf, isPage, navigation, type Item } from '../../deploy/site/navigation.ts'

const addressesIn = ({ link, items = [] }: Item): readonly string[] => [
  ...(link === undefined ? [] : [link]),
  ...items.flatMap(addressesIn),
]

it('has each page in its navigation, once', () => {
  const pages = globSync(['*.md', 'docs/**/*.md'], { cwd: ROOT }).filter(isPage)
  expect(pages).toContain('docs/reference/sync.md')
  expect(navigation().flatMap(addressesIn).toSorted()).toEqual(pages.map(addressOf).toSorted())
})

it('names links to missing pages, files and headings, and those that leave the path of the site', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-site-'))
  try {
    await mkdir(join(folder, 'reference'))
    await writeFile(join(folder, 'icon.svg'), '')
    await writeFile(join(folder, 'reference/index.html'), '<h1 id="reference">Reference</h1>')
    const right = ['#top', '/base/', '/base/icon.svg', '/base/reference/#reference', 'https://example.com/#a']
    const wrong = ['#bottom', '/base/sync.html', '/base/reference/#sync', '/reference/']
    const links = [...right, ...wrong].map(href => `<a class="link" href="${href}">there</a>`)
    await writeFile(join(folder, 'index.html'), `<h1 id="top">Top</h1>${links.join('')}`)
    expect(deadLinks(folder, '/base/')).toEqual(wrong.map(href => `index.html: ${href}`))
  } finally {
    await rm(folder, { recursive: true })
  }
})
