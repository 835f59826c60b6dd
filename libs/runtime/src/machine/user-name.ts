/** Names the user of this process, for records that say who asked for something. */
import { userInfo } from 'node:os'

const MAX_CHARACTERS = 63

/**
 * Returns the name of the user on this machine, or the number of a user without a name, as in a container.
 */
export function userName(): string {
  try {
    return userInfo().username.slice(0, MAX_CHARACTERS)
  } catch {
    return `user ${process.getuid?.() ?? '?'}`
  }
}
