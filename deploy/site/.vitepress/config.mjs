/**
 * The documentation site, made by VitePress from the Markdown files that a reader of the repository sees.
 * `SLUICE_REPOSITORY` is the address of the repository, for links to files that are no pages.
 */
import { fileURLToPath } from 'node:url'
import { anchorOf } from '../../../services/console/web/heading-anchor.mjs'
import { deadLinks, siteLinks } from '../links.ts'
import { ROOT, addressOf, navigation, placeOf } from '../navigation.ts'

const repository = process.env.SLUICE_REPOSITORY?.replace(/\/$/, '') || undefined

export default {
  title: 'Sluice',
  description: 'Turns row changes into HTTP requests: a self-hosted reverse-ETL HTTP destination on Kafka.',
  lang: 'en',
  srcDir: ROOT,
  srcExclude: ['{.github,deploy,dist,libs,services,test}/**'],
  outDir: `${ROOT}dist/site`,
  cacheDir: '../node_modules/.vitepress',
  rewrites: placeOf,
  vite: {
    publicDir: 'deploy/site/public',
    plugins: [packagesOfPages()],
    // Mermaid is one file, which only pages with a diagram load.
    build: { chunkSizeWarningLimit: 3_000 },
  },
  transformHead: ({ siteData }) => [
    ['link', { rel: 'icon', href: `${siteData.base}icon.svg`, type: 'image/svg+xml' }],
  ],
  markdown: {
    // The same anchors as on GitHub, and on the console's own pages of the reference.
    anchor: { slugify: heading => anchorOf(heading, new Set()) },
    attrs: false,
    emoji: false,
    config: markdown => {
      siteLinks(markdown, repository)
      verbatimCode(markdown)
      diagrams(markdown)
    },
  },
  themeConfig: {
    logo: '/icon.svg',
    nav: [
      { text: 'Tutorial', link: addressOf('docs/TUTORIAL.md') },
      { text: 'Reference', link: addressOf('docs/reference/README.md') },
      { text: 'Operations', link: addressOf('docs/OPERATIONS.md') },
    ],
    sidebar: navigation(),
    outline: [2, 3],
    search: { provider: 'local' },
    ...(repository === undefined ? {} : { socialLinks: [{ icon: 'github', link: repository }] }),
  },
  buildEnd: ({ outDir, site }) => {
    const dead = deadLinks(outDir, site.base)
    if (dead.length > 0) throw new Error(`links that lead nowhere:\n${dead.join('\n')}`)
  },
}

/** Keeps Liquid's `{{ }}` in code from Vue, which would otherwise compute it. */
function verbatimCode(markdown) {
  const { code_inline: code } = markdown.renderer.rules
  markdown.renderer.rules.code_inline = (tokens, place, ...rest) => {
    tokens[place].attrSet('v-pre', '')
    return code(tokens, place, ...rest)
  }
}

/** Makes a diagram of a block of code in Mermaid's language. */
function diagrams(markdown) {
  const { fence } = markdown.renderer.rules
  markdown.renderer.rules.fence = (tokens, place, ...rest) => {
    const { info, content } = tokens[place]
    if (info.trim() !== 'mermaid') return fence(tokens, place, ...rest)
    return `<MermaidDiagram source="${markdown.utils.escapeHtml(content)}" />\n`
  }
}

/** Finds Vue for the pages, which stand outside of the folder that has the packages. */
function packagesOfPages() {
  return {
    name: 'packages-of-pages',
    enforce: 'pre',
    resolveId(name, importer, options) {
      if (!/^vue(?:\/|$)/.test(name) || !importer?.endsWith('.md')) return null
      return this.resolve(name, fileURLToPath(import.meta.url), { ...options, skipSelf: true })
    },
    // VitePress names packages to look for beside the pages. The server finds each when a page asks for it.
    configResolved({ environments }) {
      environments.client.optimizeDeps.include = []
    },
  }
}
