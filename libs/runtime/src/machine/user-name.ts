/** Who runs this process, for records of who asked for something. */
import { userInfo } from 'node:os'

const MAX_CHARACTERS = 63

/** The name of the user on this machine; their number where they have no name, as in a container. */
export function userName(): string {
  try {
    return userInfo().username.slice(0, MAX_CHARACTERS)
  } catch {
    return `user ${process.getuid?.() ?? '?'}`
  }
}
