/// <reference types="vite/client" />
/**
 * Destinations of real APIs with their requests: the examples of `docs/examples`, as a start for a new sync.
 * It has their texts, so it is loaded when somebody chooses one.
 */
import { freeName, nameIn, textAt, valueAt, withText, withValue, type Draft } from './draft.ts'

const FILES: { readonly [path: string]: string } = import.meta.glob(
  ['../../../../docs/examples/*/*.yaml', '!**/*.test.yaml'],
  { query: '?raw', import: 'default', eager: true },
)

export interface ApiTemplate {
  readonly destination: string
  readonly sync: string
}

/** Throws for a name that is none of the examples. */
export function templateOf(name: string): ApiTemplate {
  const texts = Object.entries(FILES)
    .filter(([path]) => path.includes(`/examples/${name}/`))
    .flatMap(([, text]) => text.split(/^---\n/m))
  const find = (kind: string): string => texts.find(text => textAt(text, ['kind']) === kind) ?? ''
  const [destination, sync] = [find('destination'), find('sync')]
  if (destination === '' || sync === '') throw new Error(`There is no example ${name} with a destination.`)
  return { destination: withoutFiles(ofForms(destination)), sync: ofForms(sync) }
}

/** The text without variables of the environment, and without the comment at its top, which explains them. */
function ofForms(text: string): string {
  return text.replace(/^(?:#.*\n)+/, '').replaceAll(/\$\{[A-Z_]+:-([^}]*)\}/g, '$1')
}

/** A certificate from a file of the example becomes a secret, which the form can set. */
function withoutFiles(text: string): string {
  const own = withValue(text, ['tls', 'ca'], undefined)
  if (!textAt(own, ['tls', 'cert']).startsWith('${file:')) return own
  return withValue(own, ['tls', 'cert'], `\${secret:${nameIn(own)}-cert}`)
}

/** The settings of a sync that are no part of an example. */
const OWN = ['name', 'title', 'model', 'schedule', 'paused'] as const

/** The draft with the example's destination and requests. Rows, name and schedule stay. */
export function startedFrom(draft: Draft, template: ApiTemplate, taken: readonly string[]): Draft {
  const name = freeName(nameIn(template.destination), taken)
  const destination = withValue(template.destination, ['name'], name)
  let sync = withValue(template.sync, ['destination'], name)
  for (const field of OWN) sync = withValue(sync, [field], valueAt(draft.sync, [field]))
  return { ...withText(draft, 'destination', destination), sync }
}
