/** The shape of a route of the API. */
import type { OperationName } from '@sluice/contracts/api/operations'
import type { SignInView, TokenMadeView, TokensView } from '@sluice/contracts/api/operating'
import type { Control } from '@sluice/control/port'
import type { Role } from '@sluice/control/roles'
import type { z } from 'zod'
import type { AskedRuns } from '../asked-runs.ts'
import type { PendingLogins } from '../login/pending-logins.ts'
import type { Principal } from '../access/principal.ts'

/** The kind of token that a route wants. A token that writes also reads. `anyone` needs no token. */
export type Scope = 'anyone' | 'read' | 'write'

/** The input of a request before it is checked. */
export interface RawInput {
  readonly params: unknown
  readonly query: unknown
  readonly body: unknown
  readonly lastEventId: string | undefined
}

export interface RouteContext {
  /** Carries out operations that the caller's roles allow, and throws `forbidden` for all others. */
  readonly control: Control
  /** The header `If-Match`. */
  readonly ifMatch: string | undefined
  readonly principal: Principal
  /** The sessions of the browser that asks. */
  readonly sessions: {
    /** Throws a `Refusal` for a wrong token, after some time. */
    readonly logIn: (token: string) => Promise<Principal>
    /** Resolves with the cookies that end the sessions. */
    readonly logOut: () => Promise<readonly string[]>
    readonly waysIn: () => SignInView
    /** Throws `conflict` without a provider. */
    readonly beginSignIn: (to: string) => Promise<{ readonly url: string; readonly setCookie: string }>
    /** Throws a `Refusal` if the provider names nobody, or somebody without a role. */
    readonly finishSignIn: (redirected: URL) => Promise<{
      readonly principal: Principal
      readonly to: string
      readonly cookies: readonly string[]
    }>
  }
  readonly asked: AskedRuns
  /** The tokens of the server, by their names. */
  readonly tokens: {
    readonly list: () => TokensView
    readonly make: (token: {
      readonly name: string
      readonly roles: readonly Role[]
      /** In milliseconds since 1970. */
      readonly endsAt: number | null
    }) => Promise<TokenMadeView>
    readonly revoke: (name: string) => Promise<void>
  }
  /** The origin at which the caller's browser reaches the server, without a slash at its end. */
  readonly origin: string
  /** Null on a server that logs in to no destination. */
  readonly logins: PendingLogins | null
  /** This machine's address of the server, without a slash at its end. Null if services run elsewhere. */
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
  | {
      readonly kind: 'file'
      readonly type: string
      readonly fileName: string
      readonly text: AsyncIterable<string>
    }

/** Answers with a document. The version of a resource is its ETag. */
export function document(value: object): Answer & { readonly kind: 'document' } {
  const etag = 'version' in value && typeof value.version === 'number' ? { etag: `"${value.version}"` } : {}
  return { kind: 'document', value, ...etag }
}

/** The bounds within which a server carries an operation out. */
export interface Limits {
  /** The time that the operation may take; a stream has no limit. Default: a minute. */
  readonly timeoutMs?: number
  /** The most bytes of its body. Default: 64 KB. */
  readonly bodyBytes?: number
  /** The most requests at once. Default: any number. */
  readonly atOnce?: number
  /** The most requests of one caller at once. Default: `atOnce`. */
  readonly atOncePerCaller?: number
}

export interface Route extends Limits {
  readonly id: OperationName
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Below `/api/v1`; `:name` stands for a parameter. */
  readonly path: string
  readonly scope: Scope
  readonly status: 200 | 202
  readonly summary: string
  readonly params: z.ZodType
  readonly query: z.ZodType
  readonly body: z.ZodType | null
  readonly answer: z.ZodType
  /** True if the answer is a stream of server-sent events, each of which carries a document. */
  readonly streams: boolean
  /** True if the answer is a file, which is sent while it is written. */
  readonly isFile: boolean
  /** Throws `usage` for input that does not fit the schemas. */
  handle(input: RawInput, context: RouteContext): Promise<Answer>
}
