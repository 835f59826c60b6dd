import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** Removes the caches of earlier incarnations of a sync, which a reset has left behind. */
export function removeOldStates(
  folder: string,
  { sync, incarnation }: { readonly sync: string; readonly incarnation: string },
): void {
  // Neither name has a dot in it.
  for (const name of readdirSync(folder))
    if (name.startsWith(`${sync}.`) && !name.startsWith(`${sync}.${incarnation}.`))
      rmSync(join(folder, name), { recursive: true, force: true })
}
