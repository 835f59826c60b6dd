/**
 * What a token endpoint answers, read as leniently as real servers need: a form in place of JSON, a lifetime
 * as text or none at all, a type in any case or none at all, an error with a status of 200.
 */

export type TokenAnswer =
  | {
      readonly kind: 'token'
      readonly accessToken: string
      /** The scheme of the header Authorization. */
      readonly type: string
      /** How long it counts from its answer on; null if the server does not say. */
      readonly lifeMs: number | null
      /** Null if the server gives none: then the one before goes on. */
      readonly refreshToken: string | null
    }
  | {
      readonly kind: 'refused'
      /** The code of RFC 6749 §5.2, such as `invalid_grant`, if the server gives one. */
      readonly code: string | null
      readonly message: string
      /** True if asking again later may help. */
      readonly mayPass: boolean
    }

import { isSensitiveName, MASK } from '@sluice/secrets/redact'

/** A token is sent in a header. */
const TOKEN = /^[\x21-\x7e]+( [\x21-\x7e]+)*$/
/** A token that ends sooner would be asked for again without end. */
const MIN_LIFE_MS = 1_000
const MAX_LIFE_MS = 365 * 86_400_000
const PASSING_CODES = ['temporarily_unavailable', 'server_error', 'slow_down', 'authorization_pending']
const EXCERPT_LENGTH = 300
/** More is not looked at, for a text that is no JSON. */
const LOOKED_AT = 2_000
const NAMED_VALUE = /([\w.-]+)([\\"'\s]*[:=>][\\"'\s]*)([^"'&<>\r\n]+)/g

/** `mask` takes secrets out of what an answer says; `cut`: only the beginning of that is given. */
export type MaskAnswer = (text: string, of: { readonly cut: boolean }) => string

/** `cut`: the answer goes on after `body`. */
export function readTokenAnswer(
  { status, body, cut = false }: { readonly status: number; readonly body: string; readonly cut?: boolean },
  mask: MaskAnswer,
): TokenAnswer {
  const fields = fieldsOf(body)
  const code = textOf(fields, 'error')
  const accessToken = textOf(fields, 'access_token')
  if (status < 200 || status > 299 || code !== null || accessToken === null)
    return refusal(status, { fields, code, excerpt: () => excerptOf(body, { cut, mask }), mask })
  const type = textOf(fields, 'token_type') ?? 'bearer'
  const isBearer = /^(bearer|n_a|access_?token)$/i.test(type)
  if (!TOKEN.test(accessToken) || !(isBearer || /^[!#$%&'*+.^_`|~\w-]+$/.test(type)))
    return { kind: 'refused', code: null, message: 'the token cannot be sent in a header', mayPass: false }
  const refreshToken = textOf(fields, 'refresh_token')
  const lifeMs = lifeOf(fields['expires_in'])
  return { kind: 'token', accessToken, type: isBearer ? 'Bearer' : type, lifeMs, refreshToken }
}

interface Fields {
  readonly [name: string]: unknown
}

function fieldsOf(body: string): Fields {
  try {
    const parsed: unknown = JSON.parse(body)
    if (typeof parsed === 'object' && parsed !== null) return { ...parsed }
  } catch {
    if (/^[\w.-]+=/.test(body)) return Object.fromEntries(new URLSearchParams(body))
  }
  return {}
}

function textOf(fields: Fields, name: string): string | null {
  const value = fields[name]
  return typeof value === 'string' && value !== '' ? value : null
}

/** Seconds, as a number or a text. What is no time counts as none. */
function lifeOf(value: unknown): number | null {
  const seconds = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds <= 0) return null
  return Math.min(Math.max(seconds * 1000, MIN_LIFE_MS), MAX_LIFE_MS)
}

function refusal(
  status: number,
  of: {
    readonly fields: Fields
    readonly code: string | null
    readonly excerpt: () => string
    readonly mask: MaskAnswer
  },
): TokenAnswer {
  const { fields, code, excerpt, mask } = of
  const isGood = status >= 200 && status <= 299
  const said = code === null ? excerpt() : (textOf(fields, 'error_description') ?? '')
  const parts = [`HTTP ${status}`, isGood && code === null ? 'without `access_token`' : code, said]
  const message = mask(parts.filter(part => part !== null && part !== '').join(': '), { cut: false })
  const byStatus = status >= 500 || status === 429 || status === 408
  return {
    kind: 'refused',
    code,
    message,
    mayPass: byStatus || (code !== null && PASSING_CODES.includes(code)),
  }
}

/** The beginning of a body, without what it may have of tokens: it may give them in a form of its own. */
function excerptOf(body: string, of: { readonly cut: boolean; readonly mask: MaskAnswer }): string {
  return withoutTokens(body, of).slice(0, EXCERPT_LENGTH).toWellFormed().trim()
}

function withoutTokens(
  body: string,
  { cut, mask }: { readonly cut: boolean; readonly mask: MaskAnswer },
): string {
  try {
    const parsed: unknown = JSON.parse(body)
    const isBare = typeof parsed === 'string'
    if (!isBare)
      return mask(
        JSON.stringify(parsed, (name, value: unknown) => (isSensitiveName(name) ? MASK : value)),
        { cut: false },
      )
  } catch {
    // It is no JSON, or nested too deep to be written.
  }
  const begun = body.slice(0, LOOKED_AT)
  return mask(begun, { cut: cut || begun.length < body.length }).replaceAll(
    NAMED_VALUE,
    (all, name: string, sign: string) => (isSensitiveName(name) ? name + sign + MASK : all),
  )
}
