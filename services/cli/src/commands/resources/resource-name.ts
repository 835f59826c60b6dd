/** The resource that an argument names. */
import { SluiceError } from '@sluice/contracts/errors'
import { RESOURCE_SCHEMAS, type ResourceKind } from '@sluice/contracts/resources'
import type { ResourceNamed } from '@sluice/control/port'
import type { CommandArgs, PositionalSpec } from '../../command.ts'

export const RESOURCE: PositionalSpec = {
  name: 'RESOURCE',
  required: true,
  help: 'its kind and name: `sync/customers`',
}

/** Throws `usage` for a text that is no kind and name. */
export function resourceOf({ positionals: [text = ''] }: CommandArgs): ResourceNamed {
  const slash = text.indexOf('/')
  const kind = text.slice(0, slash)
  if (slash > 0 && isKind(kind)) return { kind, name: text.slice(slash + 1) }
  const kinds = Object.keys(RESOURCE_SCHEMAS).join(', ')
  throw new SluiceError(
    'usage',
    `A resource is named by its kind and name, such as \`sync/customers\`, found \`${text}\`. The kinds are ${kinds}.`,
  )
}

function isKind(kind: string): kind is ResourceKind {
  return Object.hasOwn(RESOURCE_SCHEMAS, kind)
}
