/**
 * `npx vite services/console/web` serves the pages while they are edited; the API is that of a `sluice up`.
 */
export default {
  base: '/',
  publicDir: 'public',
  build: {
    target: 'es2022',
    // An image in the page itself would need a looser policy than the server sends.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  oxc: { jsx: { runtime: 'automatic' } },
  server: { proxy: { '/api': 'http://127.0.0.1:4747' } },
}
