/** Checks with their findings and advice, one below the other. */
import type { Check } from '@sluice/control/health/check'
import { withTyped } from './called.ts'
import { displayWidth, pad, painter, safe, wrap } from './paint.ts'
import type { OutputOptions } from './wording.ts'

const MARKS = { ok: '✓', warning: '!', problem: '✗', unreachable: '✗' } as const
const COLORS = { ok: 'green', warning: 'yellow', problem: 'red', unreachable: 'red' } as const
const MAX_COLUMNS = 110

/** Returns lines, each with its end. */
export function checksText(checks: readonly Check[], options: OutputOptions): string {
  const paint = painter(options.color)
  const columns = Math.min(options.columns ?? MAX_COLUMNS, MAX_COLUMNS)
  const names = Math.max(...checks.map(({ check }) => displayWidth(check)))
  const lines = checks.flatMap(({ check, status, found, advice }) => {
    const indent = ' '.repeat(names + 4)
    const fitted = (text: string): string[] => wrap(text, Math.max(columns - names - 4, 20))
    const [first = '', ...rest] = fitted(safe(found))
    const what = [`${paint(COLORS[status], MARKS[status])} ${pad(check, names)}  ${first}`]
    const todo = advice === null ? [] : fitted(`→ ${safe(withTyped(advice, options.called))}`)
    return [...what, ...[...rest, ...todo].map(line => `${indent}${line}`)]
  })
  return lines.map(line => `${line}\n`).join('')
}
