/** Base URLs, headers and queries as users write them, as zod schemas. */
import { z } from 'zod'
import {
  baseUrlFault,
  clashWanted,
  clashWithKey,
  fixedHeaderFault,
  fixedQueryFault,
  HEADER_NAME,
  headerValueFault,
  OF_THE_CONNECTION,
  plainBaseUrl,
  queryNameFault,
  findSameHeader,
} from './http-texts.ts'
import { secretNames } from '../secret-references.ts'
import { text } from './plain-values.ts'

export const headerName = text
  .regex(HEADER_NAME, 'a header name: letters, digits and dashes')
  .refine(
    name => !OF_THE_CONNECTION.includes(name.toLowerCase()),
    `a header other than ${OF_THE_CONNECTION.join(', ')}, which follow from connection and body`,
  )

/** The name of a trigger's header. It is not `host`, since no row may choose which site gets the request. */
export const triggerHeaderName = headerName.refine(
  name => name.toLowerCase() !== 'host',
  'a header other than host, which stands in the `headers` of the destination',
)

type Refined = { readonly issues: z.core.$ZodRawIssue[]; readonly value: string }

/**
 * Refuses a text for which `faultOf` returns words, with these words. Accepts a text for which it returns
 * null.
 */
function withoutFault(faultOf: (value: string) => string | null) {
  return ({ issues, value }: Refined): void => {
    const message = faultOf(value)
    if (message !== null) issues.push({ code: 'custom', message, input: value })
  }
}

/** The value of a destination's header, with the checks that do not depend on its name. */
const headerValue = text
  .check(withoutFault(value => fixedHeaderFault('', value.trim())))
  .overwrite(value => value.trim())
export const headers = z.record(headerName, headerValue).check(({ issues, value }) => {
  const both = findSameHeader(Object.keys(value))
  if (both !== null)
    issues.push({
      code: 'custom',
      path: [both[1]],
      message: `each header once: \`${both[0]}\` is the same`,
      input: value,
    })
  for (const [name, header] of Object.entries(value)) {
    const fault = secretNames(header).length > 0 ? null : headerValueFault(name, header)
    if (fault !== null) issues.push({ code: 'custom', path: [name], message: fault, input: value })
  }
})
export const query = z.record(
  text.check(withoutFault(queryNameFault)),
  text.check(withoutFault(fixedQueryFault)),
)

export const baseUrl = text.check(withoutFault(baseUrlFault)).overwrite(plainBaseUrl)

/** Headers that each request has already, or that carry credentials. */
const NO_IDEMPOTENCY_HEADER = ['authorization', 'content-type', 'host']

/** Adds an issue if the idempotency header has the same name as another header of the requests. */
export function keyClash({
  issues,
  value,
}: {
  readonly issues: z.core.$ZodRawIssue[]
  readonly value: {
    readonly headers?: { readonly [name: string]: string } | undefined
    readonly idempotencyHeader?: string | false | undefined
  }
}): void {
  const { idempotencyHeader: name } = value
  if (typeof name === 'string' && NO_IDEMPOTENCY_HEADER.includes(name.toLowerCase()))
    issues.push({
      code: 'custom',
      path: ['idempotencyHeader'],
      message: `a header other than ${NO_IDEMPOTENCY_HEADER.join(', ')}, which have a meaning of their own`,
      input: value,
    })
  const own = clashWithKey(Object.keys(value.headers ?? {}), value.idempotencyHeader)
  if (own !== null)
    issues.push({ code: 'custom', path: ['headers', own], message: clashWanted(own), input: value })
}
