/**
 * `npx vite services/console/web` serves the pages while they are edited; the API is that of a `sluice up`.
 */
export default {
  base: '/',
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
        codeSplitting: { groups: [{ name: 'first', tags: ['$initial'] }] },
      },
    },
  },
  oxc: { jsx: { runtime: 'automatic' } },
  server: { proxy: { '/api': 'http://127.0.0.1:4747' } },
}
