/**
 * The server's messages name commands of `sluice`, since the command shows these messages, too. If a page
 * can do the same, the command becomes a link to that page.
 */

/** An address of the pages, and the text of the link. */
export interface NamedPlace {
  readonly href: string
  readonly text: string
}

const at = encodeURIComponent

const OF_SYNC: { readonly [command: string]: string } = {
  run: '“Run now”',
  failed: 'the page',
  retry: '“Retry all…”',
  discard: '“Discard all…”',
  resync: '“Resync”',
  reset: '“Reset”',
}
const OF_RUN: { readonly [command: string]: string } = { approve: '“Approve”', cancel: '“Cancel”' }

/** Null for text that is no command, and for a command without a page, such as `sluice apply`. */
export function placeOfCommand(code: string): NamedPlace | null {
  const [program, command = '', ...more] = code.split(' ')
  if (program !== 'sluice') return null
  const [object] = more.filter(word => !word.startsWith('-'))
  if (command === 'syncs') return { href: '/', text: 'the overview' }
  if (command === 'runs') return placeOfRuns(more)
  if (command === 'attempts') return { href: '/requests', text: 'the page Requests' }
  if (command === 'doctor') return { href: '/system', text: 'the page System' }
  if (command === 'secret')
    return { href: '/secrets', text: object === 'set' ? '“Set a secret”' : 'the page Secrets' }
  // A name in capitals is a placeholder, or the id of a run.
  if (object === undefined || object !== object.toLowerCase()) return placeOfRun(command, object)
  if (command === 'auth')
    return { href: `/resources/destination/${at(object)}`, text: `“Log in” of ${object}` }
  const what = OF_SYNC[command]
  return what === undefined ? null : { href: `/syncs/${at(object)}`, text: `${what} of ${object}` }
}

const RUN_ID = /^[0-9A-HJKMNP-TV-Z]{26}$/

function placeOfRun(command: string, id: string | undefined): NamedPlace | null {
  const what = OF_RUN[command]
  if (what === undefined || id === undefined || !RUN_ID.test(id)) return null
  return { href: `/runs/${id}`, text: `${what} of that run` }
}

function placeOfRuns([first, second = '']: readonly string[]): NamedPlace | null {
  if (first === undefined) return { href: '/runs', text: 'the page Runs' }
  if (first === 'show') return RUN_ID.test(second) ? { href: `/runs/${second}`, text: 'the run' } : null
  return { href: `/runs?sync=${at(first)}`, text: `the runs of ${first}` }
}
