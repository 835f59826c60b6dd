/**
 * Whether the holds' server answers, for `/readyz`: without it nobody takes a partition over, and delivery
 * sends nothing. Nobody is asked for that: the holds know, since they see to idle connections, too.
 */
import type { Holds } from '@sluice/holds/port'

export function holdsReadiness({ trouble }: Pick<Holds, 'trouble'>): {
  readonly ok: boolean
  readonly detail?: string
} {
  return trouble === null ? { ok: true } : { ok: false, detail: trouble.message }
}
