/**
 * Messages of the server name commands of `sluice`, since the command shows them, too. On a page, the place
 * that does the same stands for each that there is such a place for.
 */

/** An address of these pages, and how a sentence names what is there. */
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

/** Null for what is no command, or one that only a shell has, such as `sluice apply`. */
export function placeOfCommand(code: string): NamedPlace | null {
  const [program, command = '', ...more] = code.split(' ')
  if (program !== 'sluice') return null
  const [of] = more.filter(word => !word.startsWith('-'))
  if (command === 'syncs') return { href: '/', text: 'the overview' }
  if (command === 'runs') return placeOfRuns(more)
  if (command === 'attempts') return { href: '/requests', text: 'the page Requests' }
  if (command === 'doctor') return { href: '/system', text: 'the page System' }
  if (command === 'secret')
    return { href: '/secrets', text: of === 'set' ? '“Set a secret”' : 'the page Secrets' }
  // A name in capitals stands for one that the message does not know.
  if (of === undefined || of !== of.toLowerCase()) return placeOfRun(command, of)
  if (command === 'auth') return { href: `/resources/destination/${at(of)}`, text: `“Log in” of ${of}` }
  const what = OF_SYNC[command]
  return what === undefined ? null : { href: `/syncs/${at(of)}`, text: `${what} of ${of}` }
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
