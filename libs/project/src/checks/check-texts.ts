/** Finds texts of triggers that are right by themselves, but that nobody can mean. */
import type { ErrorDetail } from '@sluice/contracts/errors'
import { OPS } from '@sluice/contracts/state'
import type { DecodedResource } from '../decode/decoded.ts'
import { quoted } from '../decode/places.ts'
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

/** A path stands behind the base URL, so that a whole URL would be sent to the wrong place. */
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
