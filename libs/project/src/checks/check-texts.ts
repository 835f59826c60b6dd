/**
 * Finds texts that have the right form and are still mistakes, and resources that are too large for a record.
 */
import type { ErrorDetail } from '@sluice/contracts/errors'
import { OPS } from '@sluice/contracts/state'
import { RESOURCE_CEILING_BYTES } from '@sluice/domain/record-sizes'
import type { DecodedResource } from '../decode/decoded.ts'
import { fieldName, quoted, type FieldPath } from '../decode/places.ts'
import { inFile } from './check-templates.ts'

/** The problems of all triggers that are written out. */
export function checkTexts(decoded: readonly DecodedResource[]): ErrorDetail[] {
  return decoded.flatMap(resource => {
    const { spec } = resource
    if (spec?.kind !== 'sync') return []
    return OPS.flatMap(op => {
      const trigger = spec.triggers[op]
      if (typeof trigger !== 'object') return []
      const at = (field: string, message: string): ErrorDetail =>
        inFile({ field: `triggers.${op}.${field}`, message }, spec.name, resource)
      const headers = Object.entries(trigger.headers ?? {}).flatMap(([name, value]) => {
        const fault = secretFault(value)
        return fault === null ? [] : [at(`headers.${name}`, fault)]
      })
      const fault = pathFault(trigger.path)
      return fault === null ? headers : [at('path', fault), ...headers]
    })
  })
}

/** The problems of resources that are too large to store. The files that their fields name count, too. */
export function checkSizes(decoded: readonly DecodedResource[]): ErrorDetail[] {
  return decoded.flatMap(({ kind, spec, origins }) => {
    const bytes = spec === null ? 0 : Buffer.byteLength(JSON.stringify(spec))
    if (bytes <= RESOURCE_CEILING_BYTES) return []
    const field = fieldName(longestText(spec, []).path)
    const message =
      `${kind} \`${spec?.name ?? ''}\`: wanted at most ${RESOURCE_CEILING_BYTES} bytes with all files that it names, ` +
      `found ${bytes}; its longest text is here`
    return [{ ...(origins.get(field) ?? origins.get(''))?.place, field, message }]
  })
}

function longestText(value: unknown, path: FieldPath): { readonly path: FieldPath; readonly length: number } {
  if (typeof value !== 'object' || value === null)
    return { path, length: typeof value === 'string' ? value.length : 0 }
  const fields = Array.isArray(value) ? value.entries() : Object.entries(value)
  return [...fields]
    .map(([key, inside]) => longestText(inside, [...path, key]))
    .reduce((a, b) => (b.length > a.length ? b : a), { path, length: 0 })
}

/** A path is appended to the base URL, so a whole URL would be sent to the wrong place. */
function pathFault(path: string): string | null {
  const [, origin, rest = ''] = /^\s*(https?:\/\/[^/?#{]*)(.*)$/is.exec(path) ?? []
  if (origin === undefined) return null
  const wanted = quoted(rest.startsWith('/') ? rest : `/${rest}`)
  return `wanted a path such as ${wanted}, which stands behind the \`baseUrl\` of the destination, found a whole URL; put \`${origin}\` into \`baseUrl\``
}

function secretFault(text: string): string | null {
  const [, name] = /\{\{-?\s*secrets?\.([\w-]+)/.exec(text) ?? []
  if (name === undefined) return null
  const written = name.toLowerCase().replaceAll('_', '-')
  return (
    `templates have no secrets: write \`\${secret:${written}}\` into the \`headers\` of the destination; ` +
    `for a column called \`secret\` write \`{{ row.secret.${name} }}\``
  )
}
