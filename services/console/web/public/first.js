// Runs before the page is drawn and while its scripts are on their way.

// The page is not to be drawn in other colours first (app/theme.tsx).
let chosen = null
try {
  chosen = localStorage.getItem('sluice.theme')
} catch {
  // Without storage the page follows the system.
}
if (chosen !== 'light' && chosen !== 'dark')
  chosen = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'
document.documentElement.dataset.mantineColorScheme = chosen

// Asks for what the page shows first, as api/queries.ts has it. api/client.ts takes the answers.
const { pathname } = location
const midnight = encodeURIComponent(new Date(new Date().setHours(0, 0, 0, 0)).toISOString())
const [, run] = /^\/runs\/([^/]+)$/.exec(pathname) ?? []
const edited = /^\/syncs\/[^/]+\/edit$/.test(pathname)
const sync = /^\/syncs\/[^/]+$/.test(pathname)
globalThis.sluiceAsked = new Map(
  [
    '/session',
    ...(pathname === '/' || sync ? [`/syncs?limit=1000&runs=20&deliveredSince=${midnight}`] : []),
    ...(run === undefined ? [] : [`/runs/${run}`]),
    ...(edited || pathname === '/new' ? ['/resources?limit=1000'] : []),
  ].map(path => {
    const url = `/api/v1${path}`
    const answer = fetch(url, { credentials: 'same-origin', headers: { accept: 'application/json' } })
    // The page that takes the answer hears of a failure.
    answer.catch(() => undefined)
    return [url, answer]
  }),
)

// Loads the scripts of the page together with the script that finds out which they are (vite.config.mjs).
const page = edited ? 'edit' : sync ? 'sync' : run === undefined ? pathname.slice(1) || 'overview' : 'run'
const { content = '{}' } = document.querySelector('meta[name="sluice-scripts"]') ?? {}
for (const href of JSON.parse(content)[page] ?? [])
  document.head.append(Object.assign(document.createElement('link'), { rel: 'modulepreload', href }))
