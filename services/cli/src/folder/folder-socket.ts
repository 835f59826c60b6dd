/** Where a process that works in a folder listens for other commands. */
import { socketPathOf } from '@sluice/console/socket/socket-path'

/** Null if there can be none, since its path is too long. */
export function folderSocket(dataDir: string): string | null {
  return socketPathOf(dataDir)
}
