/** What `sluice doctor` prints for people. */
import type { DoctorView } from '@sluice/contracts/operator-views'
import { withTyped } from '../output/called.ts'
import { displayWidth, pad, painter, safe, wrap } from '../output/paint.ts'
import { counted, type OutputOptions } from '../output/wording.ts'

const MARKS = { ok: '✓', warning: '!', problem: '✗', unreachable: '✗' } as const
const COLORS = { ok: 'green', warning: 'yellow', problem: 'red', unreachable: 'red' } as const
const MOST_COLUMNS = 110

export function doctorText({ checks }: DoctorView, options: OutputOptions): string {
  const paint = painter(options.color)
  const columns = Math.min(options.columns ?? MOST_COLUMNS, MOST_COLUMNS)
  const names = Math.max(...checks.map(({ check }) => displayWidth(check)))
  const lines = checks.flatMap(({ check, status, found, advice }) => {
    const indent = ' '.repeat(names + 4)
    const fitted = (text: string): string[] => wrap(text, Math.max(columns - names - 4, 20))
    const [first = '', ...rest] = fitted(safe(found))
    const what = [`${paint(COLORS[status], MARKS[status])} ${pad(check, names)}  ${first}`]
    const todo = advice === null ? [] : fitted(`→ ${safe(withTyped(advice, options.called))}`)
    return [...what, ...[...rest, ...todo].map(line => `${indent}${line}`)]
  })
  const wrong = checks.filter(({ status }) => status === 'problem' || status === 'unreachable').length
  const end =
    wrong === 0
      ? paint('green', 'Nothing stands in the way.')
      : paint('red', `${counted(wrong, 'problem')} to mend.`)
  return `${[...lines, '', end].join('\n')}\n`
}
