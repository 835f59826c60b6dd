/** A target as an attempt sees it. */
import type { Credential } from './attempt-credentials.ts'
import type { Target } from './target.ts'

interface Merged {
  readonly target: Target
  readonly merged: Target
}

const merged = new WeakMap<Credential, Merged>()

/** The target as an attempt with this credential sees it: with its header, and all that is to be masked. */
export function withCredential(target: Target, credential: Credential | null): Target {
  if (credential === null) return target
  const known = merged.get(credential)
  if (known?.target === target) return known.merged
  const headers = { ...target.headers, authorization: credential.header }
  const made = { ...target, headers, secrets: [...target.secrets, ...credential.secrets] }
  merged.set(credential, { target, merged: made })
  return made
}
