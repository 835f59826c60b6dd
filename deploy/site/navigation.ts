/**
 * The navigation of the site, in the order in which a reader needs the pages, and the addresses of the pages.
 * A page is named by its path in the repository, and labelled by its heading.
 */
import { readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** An item as VitePress wants it: a page, a group of items, or a page whose group stands below it. */
export interface Item {
  readonly text: string
  readonly link?: string
  readonly items?: readonly Item[]
  /** True if the group can be folded, and is folded at first. */
  readonly collapsed?: boolean
}

export const navigation = (): readonly Item[] => [
  {
    text: 'Start',
    items: [
      { ...page('README.md'), text: 'Overview' },
      page('docs/TUTORIAL.md'),
      page('docs/CONSOLE.md'),
      page('docs/STREAMS.md'),
      { ...index('docs/examples'), collapsed: true },
    ],
  },
  index('docs/reference'),
  {
    text: 'In production',
    items: [page('docs/OPERATIONS.md'), page('docs/PERFORMANCE.md'), page('docs/SECURITY.md')],
  },
  {
    text: 'How it works',
    items: [
      page('docs/ARCHITECTURE.md'),
      page('docs/RUNS.md'),
      page('docs/PROTOCOL.md'),
      { ...index('docs/decisions'), collapsed: true },
    ],
  },
  { text: 'The project', items: [page('CHANGELOG.md'), page('CONTRIBUTING.md')] },
]

/** True for a file of the repository that is a page of the site. */
export function isPage(path: string): boolean {
  return /^(?:docs\/.*|README|CHANGELOG|CONTRIBUTING)\.md$/.test(path)
}

/** Returns the place of a page in the site: for `docs/reference/README.md`, `reference/index.md`. */
export function placeOf(path: string): string {
  return path
    .replace(/^docs\//, '')
    .replace(/README\.md$/, 'index.md')
    .toLowerCase()
}

/**
 * Returns the address of a page, from the root of the site: for `docs/reference/sync.md`,
 * `/reference/sync.html`.
 */
export function addressOf(path: string): string {
  return `/${placeOf(path)}`.replace(/\/index\.md$/, '/').replace(/\.md$/, '.html')
}

function page(path: string): Item {
  const heading = /^# +(.*)$/m.exec(read(path))?.[1]
  if (heading === undefined)
    throw new Error(`${path}: expected a heading, which is its label in the navigation`)
  return { text: heading.replaceAll('`', ''), link: addressOf(path) }
}

/**
 * Returns the README.md of a folder, and below it each page that begins a row of its tables. A heading before
 * a table, or a row that begins in bold, begins a group.
 */
function index(folder: string): Item {
  const items: Item[] = []
  let group = items
  let heading: string | undefined
  for (const line of read(`${folder}/README.md`).split('\n')) {
    heading = /^## +(.*)$/.exec(line)?.[1] ?? /^\| \*\*(.*?)\*\* /.exec(line)?.[1] ?? heading
    const target = /^\| \[.*?\]\(([\w-]+(?:\.md)?)\) /.exec(line)?.[1]
    if (target === undefined) continue
    if (heading !== undefined) {
      group = []
      items.push({ text: heading, collapsed: true, items: group })
      heading = undefined
    }
    group.push(page(posix.join(folder, target.endsWith('.md') ? target : `${target}/README.md`)))
  }
  return { ...page(`${folder}/README.md`), items }
}

function read(path: string): string {
  return readFileSync(`${ROOT}${path}`, 'utf8')
}
