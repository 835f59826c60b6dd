/**
 * The links of the pages, which are paths in the repository, so that they lead somewhere there, too. Some of
 * these files are pages of the site. The others are in the repository alone.
 */
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { join, posix } from 'node:path'
import { ROOT, addressOf, isPage } from './navigation.ts'

/** The part of a token of markdown-it that is used here. */
interface Token {
  readonly type: string
  readonly children: Token[] | null
  attrGet(name: string): string | null
  attrSet(name: string, value: string): void
}

interface Markdown {
  readonly core: {
    readonly ruler: { after(before: string, name: string, rule: (state: State) => void): void }
  }
}

interface State {
  readonly tokens: readonly Token[]
  /** The file that the page is made of. `path` is its place in the site. */
  readonly env: { readonly path: string; readonly realPath?: string }
}

/**
 * A plugin of markdown-it, which makes addresses of these paths. `repository` is the address of the
 * repository, say `https://github.com/acme/sluice`. Without it, a link to a file that is no page is its text
 * alone. A link to no file is an error.
 */
export function siteLinks(markdown: Markdown, repository: string | undefined): void {
  markdown.core.ruler.after('inline', 'site-links', ({ tokens, env }) => {
    const page = posix.relative(ROOT, env.realPath ?? env.path)
    for (const { children } of tokens) {
      for (const token of children?.filter(({ type }) => type === 'link_open') ?? []) {
        const target = targetOf(token.attrGet('href') ?? '', page, repository)
        if (target !== null) token.attrSet('href', target)
        else if (children !== null) removeLink(children, token)
      }
    }
  })
}

/**
 * Returns the address that a link of a page has in the site; null if it leads out of the site, and the
 * address of the repository is not known.
 */
function targetOf(href: string, page: string, repository: string | undefined): string | null {
  if (/^(?:#|[a-z]+:)/.test(href)) return href
  const [path = '', anchor] = href.split('#')
  const file = posix.join(posix.dirname(page), path).replace(/\/$/, '')
  if (!existsSync(join(ROOT, file))) throw new Error(`${page}: ${href} leads to no file`)
  const isFolder = statSync(join(ROOT, file)).isDirectory()
  const hash = anchor === undefined ? '' : `#${anchor}`
  const target = isFolder ? `${file}/README.md` : file
  if (isPage(target) && existsSync(join(ROOT, target))) return addressOf(target) + hash
  return repository === undefined ? null : `${repository}/${isFolder ? 'tree' : 'blob'}/HEAD/${file}${hash}`
}

/** Leaves the text of a link. */
function removeLink(tokens: Token[], link: Token): void {
  const begin = tokens.indexOf(link)
  const end = tokens.findIndex(({ type }, place) => place > begin && type === 'link_close')
  tokens.splice(end, 1)
  tokens.splice(begin, 1)
}

/**
 * Returns the links of a built site that lead to no page, file or heading, as `page: link`. `base` is the
 * path of the site on its server, such as `/` or `/sluice/`.
 */
export function deadLinks(folder: string, base: string): readonly string[] {
  // 404.html stands for any address without a page.
  const pages = globSync('**/*.html', { cwd: folder }).filter(path => path !== '404.html')
  const texts = pages.map(path => [path, readFileSync(join(folder, path), 'utf8')] as const)
  const anchors = new Map(texts.map(([path, text]) => [path, new Set(valuesOf('id', text))]))
  return texts.flatMap(([path, text]) =>
    valuesOf('href', text)
      .filter(href => isDead(new URL(href, `http://site${base}${path}`)))
      .map(href => `${path}: ${href}`),
  )

  function isDead({ origin, pathname, hash }: URL): boolean {
    if (origin !== 'http://site') return false
    if (!pathname.startsWith(base)) return true
    const file = decodeURIComponent(pathname.slice(base.length)).replace(/(^|\/)$/, '$1index.html')
    if (!existsSync(join(folder, file))) return true
    return hash !== '' && anchors.get(file)?.has(decodeURIComponent(hash.slice(1))) !== true
  }
}

/** Returns the values of an attribute in a page. */
function valuesOf(attribute: string, html: string): readonly string[] {
  const values = html.matchAll(new RegExp(`<[^>]* ${attribute}="([^"]*)"`, 'g'))
  return [...values].map(([, value = '']) => value.replaceAll('&amp;', '&'))
}
