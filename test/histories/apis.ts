/** Three kinds of API as they exist in practice, reduced to the state of their objects. */
import type { Op } from '@sluice/contracts/state'
import { folded, type ApiKind, type Row } from './plan.ts'

/** The part of a request for one row. */
export interface SentRow {
  readonly op: Op
  readonly key: string
  readonly row: Row | null
  /** The object's id at the API, where one was captured. */
  readonly id: string | null
}

export interface ApiAnswer {
  readonly status: number
  /** The id that the API made for the object. */
  readonly id: string | null
}

export interface Api {
  /** Applies the rows of one request, all or none. */
  take(rows: readonly SentRow[]): ApiAnswer
  /** Objects by key, with their ids. A key has several if the API made several objects for it. */
  objects(): readonly { readonly key: string; readonly id: string | null; readonly row: Row }[]
}

/** One that folds keys takes twins for one object, which has the key that was written last. */
export function makeApi({ api, foldsKeys }: { readonly api: ApiKind; readonly foldsKeys: boolean }): Api {
  return api === 'makes-ids' ? apiThatMakesIds() : apiByKey(api === 'strict', foldsKeys ? folded : key => key)
}

function apiByKey(strict: boolean, idOf: (key: string) => string): Api {
  const rows = new Map<string, { readonly key: string; readonly row: Row }>()
  const refusal = ({ op, key }: SentRow): number | null => {
    if (!strict) return null
    if (op === 'added') return rows.has(idOf(key)) ? 409 : null
    return rows.has(idOf(key)) ? null : 404
  }
  return {
    take(sent) {
      for (const row of sent) {
        const status = refusal(row)
        if (status !== null) return { status, id: null }
      }
      for (const { op, key, row } of sent) {
        if (op === 'removed') rows.delete(idOf(key))
        else if (row !== null) rows.set(idOf(key), { key, row })
      }
      return { status: 200, id: null }
    },
    objects: () => [...rows.values()].map(({ key, row }) => ({ key, id: null, row })),
  }
}

function apiThatMakesIds(): Api {
  const objects = new Map<string, { readonly key: string; readonly row: Row }>()
  let made = 0
  return {
    take(sent) {
      let told: string | null = null
      for (const { op, key, row, id } of sent) {
        if (op === 'added' && row !== null) {
          told = `id-${(made += 1)}`
          objects.set(told, { key, row })
        } else if (id === null || !objects.has(id)) return { status: 404, id: null }
        else if (op === 'removed') objects.delete(id)
        else if (row !== null) objects.set(id, { key, row })
      }
      return { status: 200, id: told }
    },
    objects: () => [...objects].map(([id, { key, row }]) => ({ key, id, row })),
  }
}
