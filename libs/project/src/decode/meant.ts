/** Guesses the meaning of fields that are written as in other tools, and gives an example to copy. */
import { isScalar } from 'yaml'
import type { FieldPath } from './places.ts'

/** The end of a message about a scalar, or ''. `at` is the path of the field. */
export function meantBy(node: unknown, at: FieldPath): string {
  if (!isScalar(node)) return ''
  // The defaults of a project have the fields of a sync.
  const path = at[0] === 'defaults' ? at.slice(1) : at
  const text = (node.source ?? '').trim()
  const secret = /\{\{-?\s*secrets?\.([\w-]+)/.exec(text)?.[1]
  if (secret !== undefined) return `; a secret is written \`\${secret:${secretName(secret)}}\``
  const variable = /\{\{-?\s*env\.([A-Za-z_]\w*)/.exec(text)?.[1]
  if (variable !== undefined)
    return `; a variable of the environment is written \`\${${variable.toUpperCase()}}\``
  if (path.length === 1 && path[0] === 'schedule') return meantSchedule(text)
  if (path.at(-1) === 'rate' && path.at(-2) === 'limits') return rate(text, rateOf)
  if (path.length === 1 && path[0] === 'limits') return rate(text, found => `{ rate: ${rateOf(found)} }`)
  if (path.length === 3 && path[0] === 'triggers' && path[2] === 'batch' && /^\d+$/.test(text))
    return `; write \`{ size: ${text} }\``
  if (path.length === 3 && path[0] === 'triggers' && path[2] === 'batch' && text === 'true')
    return '; write `{}` for up to 100 rows a request'
  if (path.length === 2 && path[0] === 'when' && Object.hasOwn(LIMITED, text))
    return `; write \`${text}: ${LIMITED[text] ?? ''}\``
  return ''
}

/** Names the type of source for a word that other tools call a type. */
export function meantType(type: string): string {
  const reads = /^(csv|tsv|parquet|json|jsonl|ndjson|files?)$/i.test(type)
  if (reads) return '; `duckdb` reads CSV, Parquet and JSON files'
  if (/^debezium|^cdc$/i.test(type))
    return '; `kafka` reads the topics of Debezium, for models with `topic` and `format: debezium`'
  return /^maria-?db$/i.test(type) ? '; `mysql` means MariaDB, too' : ''
}

/** The conditions of an alert that need a limit. */
const LIMITED: { readonly [condition: string]: string } = {
  'rows-failed': '{ share: 0.01 }',
  slow: '{ longerThan: 1h }',
  silent: '{ noSuccessFor: 1d }',
}

function meantSchedule(text: string): string {
  if (/^([\d*/,\w?#-]+\s+){4,5}[\d*/,\w?#-]+$/.test(text)) return `; write \`{ cron: "${text}" }\``
  if (/^@\w+$/.test(text)) return `; write \`{ cron: "${text}" }\``
  return /^\d+(\.\d+)?(ms|s|m|h|d)$/.test(text) ? `; write \`{ every: ${text} }\`` : ''
}

interface Rate {
  readonly requests: string
  readonly per: string
}

function rate(text: string, write: (rate: Rate) => string): string {
  const [, requests, per = 's'] = /^(\d+)(?:\s*(?:\/|per)\s*(s|m|h)\w*)?$/i.exec(text) ?? []
  if (requests === undefined) return ''
  const units: { readonly [letter: string]: string } = { s: 'second', m: 'minute', h: 'hour' }
  return `; write \`${write({ requests, per: units[per.toLowerCase()] ?? 'second' })}\``
}

function rateOf({ requests, per }: Rate): string {
  return `{ requests: ${requests}, per: ${per} }`
}

function secretName(name: string): string {
  return name.toLowerCase().replaceAll('_', '-')
}

/**
 * The first Liquid output that ends in one brace instead of two, as the text has it; null if there is none.
 */
export function singleBrace(text: string): string | null {
  if (/\{%-?\s*raw\b/.test(text)) return null
  for (const { index } of text.matchAll(/\{\{/g)) {
    const end = text.slice(index + 2).search(/\}|\{\{|\{%|\n/)
    const closes = index + 2 + end
    if (end >= 0 && text[closes] === '}' && text[closes + 1] !== '}') {
      // A brace within quotes is text, and the output may well end further on.
      if (text.slice(closes).split(/\{\{/, 1)[0]?.includes('}}') === true) continue
      return text.slice(index, closes + 1)
    }
  }
  return null
}
