import { docsPages } from './docs-pages.mjs'

/** The pages whose scripts are loaded together with the first one (public/first.js). */
const PAGES = {
  edit: 'syncs/edit-sync-page.tsx',
  new: 'syncs/new-sync-page.tsx',
  overview: 'overview/overview.tsx',
  requests: 'requests/requests-page.tsx',
  run: 'runs/run-page.tsx',
  runs: 'runs/runs-page.tsx',
  sync: 'syncs/sync-page.tsx',
}

/** Names their scripts in the document, since only the build knows the names. */
function scriptsOfPages() {
  const handler = (html, { bundle = {} }) => {
    const chunks = Object.values(bundle).filter(({ type }) => type === 'chunk')
    const importedBy = ({ fileName, imports }, known = new Set()) => {
      if (html.includes(fileName) || known.has(fileName)) return known
      known.add(fileName)
      for (const name of imports) importedBy(bundle[name], known)
      return known
    }
    const scriptsOf = file => {
      const chunk = chunks.find(({ facadeModuleId }) => facadeModuleId?.endsWith(`/web/${file}`))
      return chunk === undefined ? [] : [...importedBy(chunk)].map(name => `/${name}`)
    }
    const pages = Object.fromEntries(Object.entries(PAGES).map(([page, file]) => [page, scriptsOf(file)]))
    const attrs = { name: 'sluice-scripts', content: JSON.stringify(pages) }
    return [{ tag: 'meta', attrs, injectTo: 'head-prepend' }]
  }
  return { name: 'scripts-of-pages', transformIndexHtml: { order: 'post', handler } }
}

/**
 * `npx vite services/console/web` serves the pages while they are edited; the API is that of a `sluice up`.
 */
export default {
  base: '/',
  plugins: [scriptsOfPages(), docsPages()],
  publicDir: 'public',
  build: {
    target: 'es2022',
    // Browsers of 2024 know `light-dark()`. What stands in for it in older ones does not know the library's
    // colours.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    // An image in the page itself would need a looser policy than the server sends.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        // The first screen as one file: a browser takes as long for each of twenty small ones as for a large
        // one.
        codeSplitting: {
          groups: [
            { name: 'first', tags: ['$initial'] },
            // Most pages have one or both of these, and small parts that other pages have, too.
            { name: 'lists', test: /@tanstack\/(react-virtual|virtual-core)|ui\/(list-table|long-list)/ },
            { name: 'tables', test: /@tanstack\/(react-table|table-core)|ui\/data-table/ },
            { name: 'shared', test: /web\/(api|runs|syncs|ui)\//, minShareCount: 3, maxModuleSize: 8_000 },
            // Made in a task of its own (api/answer-checks.ts).
            { name: 'zod', test: /node_modules\/zod\// },
          ],
        },
      },
    },
  },
  oxc: { jsx: { runtime: 'automatic' } },
  server: { proxy: { '/api': 'http://127.0.0.1:4747' } },
}
