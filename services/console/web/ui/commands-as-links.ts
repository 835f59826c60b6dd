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
  if (command === 'alerts') return { href: '/alerts', text: 'the page Alerts' }
  if (command === 'secret') return placeOfSecrets(more, code)
  // A name in capitals is a placeholder, or the id of a run.
  if (object === undefined || object !== object.toLowerCase()) return placeOfRun(command, object)
  if (command === 'auth')
    return { href: `/resources/destination/${at(object)}`, text: `“Log in” of ${object}` }
  if (command === 'row') return placeOfRow(object, more)
  if (command === 'preview')
    return { href: `/syncs/${at(object)}/edit?step=review`, text: `the review of ${object}` }
  if (command === 'replay')
    return { href: `/requests?sync=${at(object)}`, text: `“Replay…” at the requests of ${object}` }
  const what = OF_SYNC[command]
  return what === undefined ? null : { href: `/syncs/${at(object)}`, text: `${what} of ${object}` }
}

function placeOfSecrets([what, name]: readonly string[], code: string): NamedPlace {
  if (what !== 'set') return { href: '/secrets', text: 'the page Secrets' }
  // A name in capitals is a placeholder.
  if (name === undefined || name !== name.toLowerCase()) return { href: '/secrets', text: '“Set a secret”' }
  const [, quoted, plain] = / --for (?:"([^"]+)"|(\S+))/.exec(code) ?? []
  const hosts = quoted ?? plain
  const grants = hosts === undefined ? '' : `&for=${at(hosts)}`
  return { href: `/secrets?set=${at(name)}${grants}`, text: `“Set the secret ${name}”` }
}

function placeOfRow(sync: string, words: readonly string[]): NamedPlace | null {
  const key = words[words.indexOf('--key') + 1]
  // A key in quotes may have blanks, at which the command was split.
  if (key === undefined || !words.includes('--key') || /['"]/.test(key)) return null
  return { href: `/syncs/${at(sync)}/row?key=${at(key)}`, text: `the row ${key} of ${sync}` }
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
