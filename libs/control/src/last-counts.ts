/** Changes of the vault, which several processes may make at once. */
import { isSluiceError } from '@sluice/contracts/errors'

/** How often a change of the vault is made again after another process changed the same secret. */
const MOST_CHANGES = 5

/** The later one of two changes at once is made once the earlier one is done. */
export async function lastCounts<T>(change: () => Promise<T>): Promise<T> {
  for (let changes = 1; ; changes += 1) {
    try {
      return await change()
    } catch (error) {
      if (!isSluiceError(error, 'fenced') || changes >= MOST_CHANGES) throw error
    }
  }
}
