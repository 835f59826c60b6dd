import { TypeGuards } from 'liquidjs'
import type { PropertyAccessToken } from './template-syntax.ts'

/** The name or index that a property is, if it is written out; undefined if it is calculated. */
export function writtenName(property: PropertyAccessToken['props'][number]): string | number | undefined {
  if (
    TypeGuards.isWordToken(property) ||
    TypeGuards.isQuotedToken(property) ||
    TypeGuards.isNumberToken(property)
  )
    return property.content
  return undefined
}
