/** The caller of a server, once it is known. */
import { ALL_ROLES, type Role } from '@sluice/control/roles'
import { userName } from '@sluice/runtime/machine/user-name'
import type { Holder, Session } from './sessions.ts'
import { OPERATOR } from './tokens.ts'

export interface Principal {
  /** The name of the token, `operator` if none is wanted, or the user who opens the socket. */
  readonly name: string
  readonly roles: ReadonlySet<Role>
  /** The holder of the token, or of the session. Null without one. */
  readonly holder: Holder | null
  /** Null if the caller is unknown. */
  readonly by: 'session' | 'token' | 'local' | null
  /** Times are in milliseconds since 1970. */
  readonly session: Pick<Session, 'id' | 'idleUntil' | 'endsAt'> | null
  /** A header for the answer that keeps the session alive. */
  readonly setCookie: string | null
}

/** The caller of a server that wants no token. */
export const LOCAL: Principal = {
  ...{ name: OPERATOR, roles: ALL_ROLES, by: 'local' },
  ...{ holder: null, session: null, setCookie: null },
}

/** Only the user of this process may open the socket of a folder. */
export function userOfSocket(): Principal {
  return { ...LOCAL, name: userName() }
}

/** The caller of an open route, such as the login, before it has shown a token. */
export const NOBODY: Principal = { ...LOCAL, name: '', by: null, roles: new Set() }
