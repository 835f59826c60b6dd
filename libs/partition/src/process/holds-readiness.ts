/**
 * Says for `/readyz` whether the holds' server answers. Without it no process takes a partition over, and
 * delivery sends nothing. This check sends no question: the holds watch their connection, even when it is
 * idle.
 */
import type { Holds } from '@sluice/holds/port'

export function holdsReadiness({ trouble }: Pick<Holds, 'trouble'>): {
  readonly ok: boolean
  readonly detail?: string
} {
  return trouble === null ? { ok: true } : { ok: false, detail: trouble.message }
}
