/**
 * Reads the answers of token endpoints as leniently as real servers need: a form in place of JSON, a lifetime
 * as text or none, a type in any case or none, an error with a status of 200.
 */
import { isSensitiveName, MASK } from '@sluice/secrets/redact'

export type TokenAnswer =
  | {
      readonly kind: 'token'
      readonly accessToken: string
      /** The scheme of the header Authorization. */
      readonly type: string
      /** The life of the token from its answer on; null if the server does not say. */
      readonly lifeMs: number | null
      /** Null if the server sends none. Then the refresh token before it stays valid. */
      readonly refreshToken: string | null
    }
  | {
      readonly kind: 'refused'
      /** The code of RFC 6749 §5.2, such as `invalid_grant`; null if the server sends none. */
      readonly code: string | null
      readonly message: string
      /** True if asking again later may help. */
      readonly mayPass: boolean
    }

/** The tokens that a header can carry. */
const TOKEN = /^[\x21-\x7e]+( [\x21-\x7e]+)*$/
/** A token with a shorter life would be asked for again without end. */
const MIN_LIFE_MS = 1_000
const MAX_LIFE_MS = 365 * 86_400_000
const PASSING_CODES = ['temporarily_unavailable', 'server_error', 'slow_down', 'authorization_pending']
const MAX_EXCERPT_LENGTH = 300
/** An excerpt of a text that is no JSON is made of at most this many characters. */
const MAX_EXCERPT_SOURCE = 2_000
const NAMED_VALUE = /([\w.-]+)([\\"'\s]*[:=>][\\"'\s]*)([^"'&<>\r\n]+)/g

/** Masks secrets in a text of an answer. `cut`: the end of the text is missing. */
export type MaskAnswer = (text: string, options: { readonly cut: boolean }) => string

/** Reads an answer. `cut`: the answer goes on after `body`. */
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

/** Reads seconds, as a number or a text, into ms. Returns null for anything else. */
function lifeOf(value: unknown): number | null {
  const seconds = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds <= 0) return null
  return Math.min(Math.max(seconds * 1000, MIN_LIFE_MS), MAX_LIFE_MS)
}

function refusal(
  status: number,
  {
    fields,
    code,
    excerpt,
    mask,
  }: {
    readonly fields: Fields
    readonly code: string | null
    readonly excerpt: () => string
    readonly mask: MaskAnswer
  },
): TokenAnswer {
  const isGood = status >= 200 && status <= 299
  const detail = code === null ? excerpt() : (textOf(fields, 'error_description') ?? '')
  const parts = [`HTTP ${status}`, isGood && code === null ? 'without `access_token`' : code, detail]
  const message = mask(parts.filter(part => part !== null && part !== '').join(': '), { cut: false })
  const byStatus = status >= 500 || status === 429 || status === 408
  return {
    kind: 'refused',
    code,
    message,
    mayPass: byStatus || (code !== null && PASSING_CODES.includes(code)),
  }
}

/** Returns the beginning of a body without tokens, which it may have in any form. */
function excerptOf(body: string, options: { readonly cut: boolean; readonly mask: MaskAnswer }): string {
  return withoutTokens(body, options).slice(0, MAX_EXCERPT_LENGTH).toWellFormed().trim()
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
    // The body is no JSON, or too deeply nested to be written.
  }
  const start = body.slice(0, MAX_EXCERPT_SOURCE)
  return mask(start, { cut: cut || start.length < body.length }).replaceAll(
    NAMED_VALUE,
    (all, name: string, sign: string) => (isSensitiveName(name) ? name + sign + MASK : all),
  )
}
