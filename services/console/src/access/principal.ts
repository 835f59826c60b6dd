/** Who asks a server for something. */
import { ALL_ROLES, type Role } from '@sluice/control/roles'
import { userName } from '@sluice/runtime/machine/user-name'
import type { Session } from './sessions.ts'
import { OPERATOR } from './tokens.ts'

export interface Principal {
  /** The name of the token; `operator` where none is wanted; that of the user who opens the socket. */
  readonly name: string
  readonly roles: ReadonlySet<Role>
  /** Null: nobody has said who asks. */
  readonly by: 'session' | 'token' | 'local' | null
  /** Its id, when the session ends if nobody uses it, and at the latest, in milliseconds since 1970. */
  readonly session: Pick<Session, 'id' | 'idleUntil' | 'endsAt'> | null
  /** A header for the answer, which keeps the session alive. */
  readonly setCookie: string | null
}

/** Where no token is wanted. */
export const LOCAL: Principal = {
  ...{ name: OPERATOR, roles: ALL_ROLES, by: 'local' },
  ...{ session: null, setCookie: null },
}

/** Whoever may open the socket of a folder is the user of this process. */
export function userOfSocket(): Principal {
  return { ...LOCAL, name: userName() }
}

/** Whoever logs in has not said yet who that is. */
export const NOBODY: Principal = { ...LOCAL, name: '', by: null, roles: new Set() }
