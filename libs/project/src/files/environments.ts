/** The environments of a project folder: files `sluice.NAME.yaml` beside `sluice.yaml`. */
import { readdirSync } from 'node:fs'
import { SluiceError } from '@sluice/contracts/errors'
import { ENVIRONMENT_NAME, ENVIRONMENT_NAME_WANTED } from '@sluice/domain/environment-name'
import { nearestName } from '@sluice/domain/nearest-name'
import { list } from '../decode/places.ts'

const NAME = new RegExp(`^${ENVIRONMENT_NAME}$`)
const FILE = new RegExp(`^sluice\\.(${ENVIRONMENT_NAME})\\.yaml$`)

/** The file of an environment, relative to the project folder. */
export function environmentFile(name: string): string {
  return `sluice.${name}.yaml`
}

/** True for the path of a file that may be an environment's. Its text tells whether it is one. */
export function mayBeEnvironment(path: string): boolean {
  return FILE.test(path)
}

/** True for a text with a document `kind: environment`, even if its YAML is broken. */
export function saysEnvironment(text: string | null): boolean {
  return /^['"]?kind['"]?[ \t]*:[ \t]*['"]?environment\b/m.test(text ?? '')
}

/** The names for which a folder has a file. None for a folder that cannot be read. */
export function environmentsIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir)
      .flatMap(file => FILE.exec(file)?.[1] ?? [])
      .sort()
  } catch {
    return []
  }
}

/**
 * The environment that `SLUICE_ENV` names, or null. Throws `usage` for a text that is no name, and
 * `missing-file` if the folder has no such environment, since a typing mistake must not begin a new state.
 */
export function environmentIn(
  dir: string,
  env: { readonly [name: string]: string | undefined },
): string | null {
  const name = env['SLUICE_ENV'] ?? ''
  if (name === '') return null
  if (!NAME.test(name))
    throw new SluiceError(
      'usage',
      `\`--env\` (or SLUICE_ENV) wants a name of ${ENVIRONMENT_NAME_WANTED}, found \`${name}\`.`,
    )
  const known = environmentsIn(dir)
  if (known.includes(name)) return name
  const near = nearestName(name, known)
  const hint =
    near !== null
      ? `did you mean \`${near}\`?`
      : known.length > 0
        ? `there are ${list(known)}.`
        : 'write it with a document `kind: environment`.'
  throw new SluiceError(
    'missing-file',
    `There is no environment \`${name}\`: ${dir} has no file \`${environmentFile(name)}\`; ${hint}`,
  )
}
