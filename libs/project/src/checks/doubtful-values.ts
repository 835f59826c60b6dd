/**
 * Warns of values that are probably mistakes: a credential in a file, and a variable written as in a shell,
 * which nothing fills in.
 */
import { OPS } from '@sluice/contracts/state'
import type { DestinationSpec, ResourceSpec } from '@sluice/contracts/resources'
import { placedInFile } from './check-templates.ts'
import { resourceKey, type Project } from '../project.ts'

const CREDENTIAL =
  /(^|[-_.])(authorization|cookie|tokens?|secret|password|passwd|credentials?|(api|access|auth|private|subscription|admin|master|functions)[-_]?key)$|^(x-)?key$/i
/** Texts below this length, such as `none`, are no credentials. */
const MIN_CREDENTIAL = 8
const SHELL_VARIABLE = /^(?:[A-Za-z]+ )?(?:\$\(?([A-Za-z_]\w*)\)?|%([A-Za-z_]\w*)%)$/

interface Value {
  readonly field: string
  readonly text: string
  readonly isCredential: boolean
}

type Checked = Pick<Project, 'resources' | 'origins'>

/** Returns a warning with its place for each doubtful value. A warning stops no run. */
export function doubtfulValues(project: Checked): string[] {
  return warningsAbout(project, () => true)
}

/**
 * Returns only the warnings about shell variables. A preview masks the values, so it would not show the
 * mistake.
 */
export function shellVariables(project: Checked): string[] {
  return warningsAbout(project, ({ text }) => SHELL_VARIABLE.test(text))
}

function warningsAbout({ resources, origins }: Checked, isMeant: (value: Value) => boolean): string[] {
  return [...resources.values()].flatMap(spec =>
    valuesOf(spec).flatMap(value => {
      if (!isMeant(value)) return []
      const warning = warningAbout(value)
      if (warning === null) return []
      const at = origins.get(resourceKey(spec.kind, spec.name)) ?? new Map()
      const { field } = value
      const what = `${spec.kind} \`${spec.name}\``
      const placed = placedInFile({ field, message: `\`${field}\` ${warning}` }, at, what)
      return [`${placed.file ?? ''}:${placed.line ?? 1} ${placed.message}`]
    }),
  )
}

function warningAbout({ text, isCredential }: Value): string | null {
  const [variable, dollar, percent] = SHELL_VARIABLE.exec(text) ?? []
  if (variable !== undefined) {
    const name = dollar ?? percent ?? ''
    const reference = isCredential
      ? `\${secret:${name.toLowerCase().replaceAll('_', '-')}}`
      : `\${${name.toUpperCase()}}`
    return `is sent as it stands, ${variable.replace(/^\w+ /, '')}: write ${reference}`
  }
  if (!isCredential || text.length < MIN_CREDENTIAL || /\$\{secret:|\{\{|\{%/.test(text)) return null
  return 'has a credential in plain text: write ${secret:NAME}, and store the value with `sluice secret set NAME`'
}

function valuesOf(spec: ResourceSpec): readonly Value[] {
  switch (spec.kind) {
    case 'destination':
      return destinationValues(spec)
    case 'source': {
      const { password } = 'password' in spec ? spec : {}
      return password === undefined ? [] : [{ field: 'password', text: password, isCredential: true }]
    }
    case 'sync':
      return OPS.flatMap(op => {
        const trigger = spec.triggers[op]
        return typeof trigger === 'object' ? named(`triggers.${op}.headers`, trigger.headers) : []
      })
    default:
      return []
  }
}

function destinationValues({ headers, query, auth }: DestinationSpec): readonly Value[] {
  const { bearer, basic, oauth2 } = { bearer: undefined, basic: undefined, oauth2: undefined, ...auth }
  const secrets = Object.entries({
    'auth.bearer': bearer,
    'auth.basic.password': basic?.password,
    'auth.oauth2.clientSecret': oauth2?.clientSecret,
    'auth.oauth2.password': oauth2?.password,
    'auth.oauth2.refreshToken': oauth2?.refreshToken,
  })
  const requests = (['tokenRequest', 'refreshRequest'] as const).flatMap(name =>
    (['headers', 'query', 'body'] as const).flatMap(part =>
      named(`auth.oauth2.${name}.${part}`, oauth2?.[name]?.[part]),
    ),
  )
  return [
    ...named('headers', headers),
    ...named('query', query),
    ...secrets.flatMap(([field, text]) => (text === undefined ? [] : [{ field, text, isCredential: true }])),
    ...requests,
  ]
}

function named(field: string, values: { readonly [name: string]: string } | undefined): readonly Value[] {
  return Object.entries(values ?? {}).map(([name, text]) => {
    return { field: `${field}.${name}`, text, isCredential: CREDENTIAL.test(name) }
  })
}
