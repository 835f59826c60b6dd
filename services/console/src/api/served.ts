/**
 * The operations that a server answers by itself: sessions, tokens, logins, the sample project, and checks of
 * schedules and certificates.
 */
import type { SessionView } from '@sluice/contracts/api'
import type { InputOf } from '@sluice/contracts/api/operation-shapes'
import { API_BASE, type ServeName } from '@sluice/contracts/api/operations'
import { SluiceError, WrongState } from '@sluice/contracts/errors'
import { failedParts } from '@sluice/control/history/export-failed-rows'
import type { Principal } from '../access/principal.ts'
import type { PendingLogins } from '../login/pending-logins.ts'
import { RECEIVER_PATH, sampleDocuments } from '../sample/sample-project.ts'
import { checkedInTurn } from './certificates.ts'
import { document, type Answer, type RouteContext } from './route.ts'
import { timesOf } from './schedule-times.ts'

type Served = {
  readonly [Name in ServeName]: (input: InputOf<Name>, context: RouteContext) => Promise<Answer>
}

export const SERVED: Served = {
  getSession: async (_, { principal }) => Promise.resolve(document(sessionOf(principal))),
  logIn: async ({ token }, { sessions }) => {
    const principal = await sessions.logIn(token)
    const cookies = principal.setCookie === null ? [] : [principal.setCookie]
    return { ...document(sessionOf(principal)), cookies }
  },
  logOut: async (_, { sessions }) => {
    const cookies = await sessions.logOut()
    return { ...document({ ended: cookies.length > 0 }), cookies }
  },
  getSignIn: async (_, { sessions }) => Promise.resolve(document(sessions.waysIn())),
  beginSignIn: async ({ to = '/' }, { sessions }) => {
    const { url, setCookie } = await sessions.beginSignIn(to)
    return { ...document({ url }), cookies: [setCookie] }
  },
  finishSignIn: async ({ redirected }, { sessions }) => {
    const { principal, to, cookies } = await sessions.finishSignIn(new URL(redirected))
    const opened = principal.setCookie === null ? [] : [principal.setCookie]
    return { ...document({ ...sessionOf(principal), to }), cookies: [...cookies, ...opened] }
  },
  listTokens: async (_, { tokens }) => Promise.resolve(document(tokens.list())),
  makeToken: async ({ name, roles, endsAt }, { tokens }) => {
    const until = endsAt === undefined ? null : Date.parse(endsAt)
    return document(await tokens.make({ name, roles: [...new Set(roles)], endsAt: until }))
  },
  revokeToken: async ({ name }, { tokens }) => {
    await tokens.revoke(name)
    return document({ revoked: name })
  },

  exportFailedRows: async (asked, { control, signal }) => {
    const parts = failedParts(control, asked, signal)
    // A sync that does not exist is a problem, and no file that breaks off.
    const first = await parts.next()
    const text = async function* (): AsyncGenerator<string> {
      if (first.done !== true) yield first.value
      yield* parts
    }
    return { kind: 'file', ...fileOf(asked), text: text() }
  },

  nextTimes: async asked => Promise.resolve(document(timesOf(asked, Date.now()))),
  checkCertificate: async (files, { signal }) => document(await checkedInTurn(files, signal)),

  getSample: async ({ to }, { ownUrl }) => {
    const sendsTo = ownUrl === null ? null : (to ?? `${ownUrl}${API_BASE}${RECEIVER_PATH}`)
    const documents = sendsTo === null ? [] : sampleDocuments(sendsTo)
    return Promise.resolve(document({ sendsTo, documents }))
  },
  receiveAdded: ({ document: body }, context) => received(body, context),
  receiveChanged: ({ document: body }, context) => received(body, context),
  receiveRemoved: (params, context) => received(params, context),

  beginLogin: async ({ name }, context) => {
    const { origin, signal } = context
    return document(await loginsOf(context).begin(name, { origin, holder: holderOf(context) }, signal))
  },
  finishLogin: async ({ redirected }, context) => {
    const caller = { holder: holderOf(context), by: context.principal.name }
    return document(await loginsOf(context).finish(new URL(redirected), caller, context.signal))
  },
}

const FILE_TYPES = { csv: 'text/csv; charset=utf-8', json: 'application/json; charset=utf-8' } as const

/** The name says what is in the file. Its parts have no character that a header or a file system minds. */
function fileOf({ name, run, group, format }: InputOf<'exportFailedRows'>): {
  type: string
  fileName: string
} {
  const parts = [name, 'failed', run, group].flatMap(part => part?.replaceAll(/[^\w.-]/g, '_') ?? [])
  return { type: FILE_TYPES[format], fileName: `${parts.join('-')}.${format}` }
}

function sessionOf({ name, by, roles, session }: Principal): SessionView {
  if (by === null) throw new SluiceError('internal', 'a session of nobody')
  return {
    ...{ name, by, roles: [...roles] },
    endsAt: session === null ? null : new Date(session.endsAt).toISOString(),
    idleUntil: session === null ? null : new Date(session.idleUntil).toISOString(),
  }
}

/**
 * The receiver of the sample project answers with the body that it got, and keeps nothing. Delivery sends no
 * token to it, so it wants none, and answers to this machine only.
 */
async function received(body: unknown, { ownUrl, isFromHere }: RouteContext): Promise<Answer> {
  if (ownUrl !== null && isFromHere) return Promise.resolve(document({ received: body }))
  throw new SluiceError('not-found', 'The receiver of the sample project answers to `sluice up` itself only.')
}

function loginsOf({ logins }: RouteContext): PendingLogins {
  if (logins !== null) return logins
  throw new WrongState('This server logs in to no destination: `sluice auth` does.')
}

/** Identifies the holder of a login: only the session that has begun a login may finish it. */
function holderOf({ principal: { by, name, session } }: RouteContext): string {
  return session === null ? `${by ?? 'nobody'} ${name}` : `session ${session.id}`
}
