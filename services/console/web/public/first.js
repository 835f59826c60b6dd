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

// Asks for what the first screen shows (api/client.ts).
const midnight = encodeURIComponent(new Date(new Date().setHours(0, 0, 0, 0)).toISOString())
globalThis.sluiceAsked = new Map(
  // The overview asks for its syncs as api/queries.ts has it.
  [
    '/session',
    ...(location.pathname === '/' ? [`/syncs?limit=1000&runs=20&deliveredSince=${midnight}`] : []),
  ].map(path => {
    const url = `/api/v1${path}`
    const answer = fetch(url, { credentials: 'same-origin', headers: { accept: 'application/json' } })
    // Whoever takes the answer is told of a failure.
    answer.catch(() => undefined)
    return [url, answer]
  }),
)
