/**
 * Makes a page of each page of the reference, which the console serves beside its own:
 * `docs/reference/sync.md` becomes `/docs/reference/sync.html`. So a form leads to the reference of the
 * version that is installed, also without a way to the Internet.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Marked } from 'marked'
import { anchorOf } from './heading-anchor.mjs'

const REFERENCE = fileURLToPath(new URL('../../../docs/reference/', import.meta.url))
const STYLE = fileURLToPath(new URL('styles/docs.css', import.meta.url))

/** A plugin of Vite. */
export function docsPages() {
  return {
    name: 'docs-pages',
    generateBundle() {
      this.emitFile({ type: 'asset', fileName: 'docs/docs.css', source: readFileSync(STYLE, 'utf8') })
      for (const file of readdirSync(REFERENCE).filter(name => name.endsWith('.md'))) {
        const fileName = `docs/reference/${file.replace(/\.md$/, '.html')}`
        const source = pageOf(readFileSync(`${REFERENCE}${file}`, 'utf8'))
        this.emitFile({ type: 'asset', fileName, source })
      }
    },
  }
}

function pageOf(markdown) {
  const taken = new Set()
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth, text }) {
        return `<h${depth} id="${anchorOf(text, taken)}">${this.parser.parseInline(tokens)}</h${depth}>\n`
      },
      link({ href, tokens }) {
        const text = this.parser.parseInline(tokens)
        const own = /^([\w-]+)\.md(#.*)?$/.exec(href)
        if (own !== null) return `<a href="${own[1]}.html${own[2] ?? ''}">${text}</a>`
        // The other pages are in the repository alone.
        return /^(?:#|https:)/.test(href) ? `<a href="${href}">${text}</a>` : text
      },
      table(token) {
        const cells = (row, tag) =>
          row.map(({ tokens }) => `<${tag}>${this.parser.parseInline(tokens)}</${tag}>`).join('')
        const rows = token.rows.map(row => `<tr>${cells(row, 'td')}</tr>`).join('\n')
        return `<div class="table" tabindex="0" role="group" aria-label="Table"><table><thead><tr>${cells(token.header, 'th')}</tr></thead><tbody>${rows}</tbody></table></div>\n`
      },
      code({ text, lang = '' }) {
        const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
        return `<pre tabindex="0" role="group" aria-label="${lang || 'Text'}"><code>${escaped}</code></pre>\n`
      },
    },
  })
  const title = /^# +(.*)$/m.exec(markdown)?.[1] ?? 'Reference'
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>${title} · Sluice</title>
    <link rel="icon" href="/icon.svg" type="image/svg+xml" />
    <link rel="stylesheet" href="/docs/docs.css" />
  </head>
  <body>
    <nav aria-label="Reference"><a href="/">The console</a> · <a href="README.html">All of the reference</a></nav>
    <main>
${marked.parse(markdown)}    </main>
  </body>
</html>
`
}
