/** The checks of `sluice doctor`, each with its finding and an advice. */
import type { DoctorView } from '@sluice/contracts/operator-views'
import { isSluiceError } from '@sluice/contracts/errors'

export type Check = DoctorView['checks'][number]

export function ok(check: string, found: string): Check {
  return { check, status: 'ok', found, advice: null }
}

export function warning(check: string, found: string, advice: string): Check {
  return { check, status: 'warning', found, advice }
}

export function problem(check: string, found: string, advice: string): Check {
  return { check, status: 'problem', found, advice }
}

/**
 * Runs checks. If they cannot be run, that is a finding, too. Rejects only for bugs and when aborted.
 */
export async function looked(
  check: string,
  look: () => Promise<readonly Check[]>,
  { advice, signal }: { readonly advice: string; readonly signal: AbortSignal },
): Promise<readonly Check[]> {
  try {
    return await look()
  } catch (error) {
    signal.throwIfAborted()
    if (!isSluiceError(error)) throw error
    const status = error.code === 'unreachable' ? 'unreachable' : 'problem'
    return [{ check, status, found: error.message, advice }]
  }
}

/** Clocks that differ by more make waits, tokens and certificates wrong. */
const MAX_APART_MS = 5_000

/** Compares another clock with this machine's. It took `tookMs` to ask for the other clock's time. */
export function clockCheck(check: string, theirs: number, tookMs: number): Check {
  const apart = theirs - Date.now()
  const seconds = Math.round(Math.abs(apart) / 1000)
  if (Math.abs(apart) <= MAX_APART_MS + tookMs) return ok(check, 'agrees with the clock here')
  const found = `is ${seconds} s ${apart > 0 ? 'ahead of' : 'behind'} the clock here`
  return problem(check, found, 'set both clocks by the same time server (NTP)')
}
