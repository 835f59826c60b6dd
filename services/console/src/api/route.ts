/** A route of the API: what it takes and gives, as schemas, and what it does. */
import type { TokensView } from '@sluice/contracts/api/operating'
import { SluiceError } from '@sluice/contracts/errors'
import type { Control } from '@sluice/control/port'
import type { z } from 'zod'
import type { AskedRuns } from '../asked-runs.ts'
import type { PendingLogins } from '../login/pending-logins.ts'
import type { Principal } from '../access/principal.ts'

/** What a token may be good for. Who may write may read. `anyone`: no token is wanted. */
export type Scope = 'anyone' | 'read' | 'write'

/** What a request came with, not yet checked. */
export interface RawInput {
  readonly params: unknown
  readonly query: unknown
  readonly body: unknown
  readonly lastEventId: string | undefined
}

export interface RouteContext {
  /** Does what the roles of who asks allow, and throws `forbidden` for all else. */
  readonly control: Control
  /** The header `If-Match`. */
  readonly ifMatch: string | undefined
  readonly principal: Principal
  /** Sessions of the browser that asks. */
  readonly sessions: {
    /** Throws a `Refusal` for a wrong token, after some time. */
    readonly logIn: (token: string) => Promise<Principal>
    /** The cookies that end the sessions. */
    readonly logOut: () => Promise<readonly string[]>
  }
  readonly asked: AskedRuns
  /** Who has a token of the server. */
  readonly tokens: () => TokensView
  /** Where the browser that asks reaches the server, without a slash at its end. */
  readonly origin: string
  /** Null on a server that logs in to no destination. */
  readonly logins: PendingLogins | null
  /** Where this machine reaches the server, without a slash at its end; null where services run elsewhere. */
  readonly ownUrl: string | null
  /** True if a process of this machine asks. */
  readonly isFromHere: boolean
  /** Aborts when the client is gone, the request takes too long, or the server ends. */
  readonly signal: AbortSignal
}

/** A document, or a stream of events. */
export type Answer =
  | {
      readonly kind: 'document'
      readonly value: unknown
      readonly location?: string
      readonly etag?: string
      /** Headers `Set-Cookie`. */
      readonly cookies?: readonly string[]
    }
  | { readonly kind: 'events'; readonly events: AsyncIterable<string> }

interface RouteParts {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Below `/api/v1`; `:name` stands for a parameter. */
  readonly path: string
  /** Its name in clients that are made from the OpenAPI document. */
  readonly id: string
  readonly summary: string
  readonly scope: Scope
  readonly status: 200 | 202
  readonly answer: z.ZodType
  /** True if the answer is a stream of server-sent events, each of which carries a document. */
  readonly streams?: boolean
  /** How long the route may take; a stream has no such limit. */
  readonly timeoutMs?: number
  /** Most bytes of a body; absent: as many as most bodies need. */
  readonly bodyBytes?: number
  /** At most so many requests at once. */
  readonly atOnce?: number
  /** At most so many of one caller. Default: as many as of all. */
  readonly atOncePerCaller?: number
}

export interface Route extends RouteParts {
  readonly params: z.ZodType
  readonly query: z.ZodType
  readonly body: z.ZodType | null
  /** Throws `usage` for input that does not fit the schemas. */
  handle(input: RawInput, context: RouteContext): Promise<Answer>
}

interface RouteSpec<Params, Query, Body> extends RouteParts {
  readonly params: z.ZodType<Params>
  readonly query: z.ZodType<Query>
  readonly body: z.ZodType<Body>
  readonly takesBody?: boolean
  readonly respond: (
    input: {
      readonly params: Params
      readonly query: Query
      readonly body: Body
      readonly lastEventId: string | undefined
    },
    context: RouteContext,
  ) => Promise<Answer>
}

export function route<Params, Query, Body>(spec: RouteSpec<Params, Query, Body>): Route {
  const {
    params,
    query,
    body,
    respond,
    takesBody = spec.method === 'POST' || spec.method === 'PUT',
    ...parts
  } = spec
  return {
    ...parts,
    params,
    query,
    body: takesBody ? body : null,
    handle: (input, context) =>
      respond(
        {
          params: checked(params, input.params, 'path'),
          query: checked(query, input.query, 'query'),
          body: checked(body, takesBody && input.body !== undefined ? input.body : {}, 'body'),
          lastEventId: input.lastEventId,
        },
        context,
      ),
  }
}

function checked<T>(schema: z.ZodType<T>, value: unknown, where: 'path' | 'query' | 'body'): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const details = parsed.error.issues.map(({ path, message }) => {
    const field = path.map(String).join('.')
    return field === '' ? { message } : { field, message }
  })
  const found = details.map(({ field, message }) =>
    field === undefined ? message : `\`${field}\`: ${message}`,
  )
  throw new SluiceError('usage', `The ${where} of the request is not right: ${found.join('; ')}`, { details })
}
