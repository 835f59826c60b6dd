/** The results of tests of syncs: as lines for people, and as JUnit's XML for CI. */
import type { Difference } from '@sluice/project/sync-tests/compare-requests'
import { yamlOf } from '@sluice/project/sync-tests/read-sync-tests'
import type { ExpectedRequest } from '@sluice/project/sync-tests/sync-test-schema'
import { safe, type Paint } from './paint.ts'
import { counted, elapsed } from './wording.ts'

export interface CaseResult {
  readonly file: string
  readonly line: number
  readonly sync: string
  readonly name: string
  readonly ms: number
  readonly problems: readonly string[]
  readonly differences: readonly Difference[]
  /** The requests of the run, as the file would expect them; null if there was no run. */
  readonly requests: readonly ExpectedRequest[] | null
  /** True if the requests are written into the file, in place of what the case expected. */
  readonly written: boolean
}

/** True for a case that passed, and for one whose file has the right requests from now on. */
export function isRight({ problems, differences, written }: CaseResult): boolean {
  return problems.length === 0 && (written || differences.length === 0)
}

/** Prints a case. The first case of a file comes below the name of the file. */
export function testLine(result: CaseResult, isFirst: boolean, paint: Paint): string {
  const { file, line, name, ms } = result
  const head = isFirst ? `${paint('bold', safe(file))}\n` : ''
  const mark = isRight(result) ? paint('green', '✓') : paint('red', '✗')
  const where = `${safe(file)}:${line}`
  const shown = result.written ? `written to ${where}` : where
  const place = isRight(result) && !result.written ? '' : paint('dim', `  ${shown}`)
  const lines = detailLines(result).map(each => `      ${painted(each, paint)}`)
  return `${head}  ${mark} ${safe(name)} ${paint('dim', elapsed(ms))}${place}\n${lines.map(each => `${each}\n`).join('')}`
}

function painted(line: string, paint: Paint): string {
  if (line.startsWith('-')) return paint('red', line)
  return line.startsWith('+') ? paint('green', line) : line
}

/**
 * Lines about a failed case. Lines of the expected request begin with `-`, lines of the sent one with `+`.
 */
function detailLines({ problems, differences, requests }: CaseResult): readonly string[] {
  const lines = problems.map(safe)
  const total = requests?.length ?? 0
  for (const difference of differences) {
    const { request } = difference
    if (difference.kind === 'field') {
      const { field, expected, found } = difference
      lines.push(`request ${request} of ${total}: ${safe(field)}`, ...changedLines(expected, found))
    } else if (difference.kind === 'missing')
      lines.push(
        `request ${request} was not sent; ${counted(total, 'request')} went out`,
        ...yamlLines('-', difference.expected),
      )
    else lines.push(`request ${request} was not expected`, ...yamlLines('+', difference.found))
  }
  return lines
}

/** Returns only the lines that differ, without the other lines of a long value. */
function changedLines(expected: unknown, found: unknown): readonly string[] {
  const [before, after] = [yamlLines('', expected), yamlLines('', found)]
  const isIn = (lines: readonly string[]): ((line: string) => boolean) => {
    const all = new Set(lines)
    return line => all.has(line)
  }
  const [gone, come] = [before.filter(line => !isIn(after)(line)), after.filter(line => !isIn(before)(line))]
  // Lists of the same lines in another order differ in no line.
  const isOrder = gone.length + come.length === 0
  return [
    ...(isOrder ? before : gone).map(line => `- ${line}`),
    ...(isOrder ? after : come).map(line => `+ ${line}`),
  ]
}

function yamlLines(mark: '' | '-' | '+', value: unknown): readonly string[] {
  return yamlOf(value)
    .split('\n')
    .map(line => `${mark}${mark === '' ? '' : ' '}${safe(line)}`)
}

/**
 * The last line: `12 passed` or `10 passed, 1 written, 1 failed`, and the time of all, since some run at the
 * same time.
 */
export function testsEnd(results: readonly CaseResult[], ms: number, paint: Paint): string {
  const failed = results.filter(result => !isRight(result)).length
  const written = results.filter(result => isRight(result) && result.written).length
  const counts = [
    paint('green', `${results.length - failed - written} passed`),
    ...(written === 0 ? [] : [`${written} written`]),
    ...(failed === 0 ? [] : [paint('red', `${failed} failed`)]),
  ]
  return `\n${counts.join(', ')} ${paint('dim', elapsed(ms))}\n`
}

/** The report in the XML that CI systems read. It has a suite for each file. */
export function junitText(results: readonly CaseResult[]): string {
  const byFile = Map.groupBy(results, ({ file }) => file)
  const suites = [...byFile].map(([file, cases]) => {
    const failed = cases.filter(each => !isRight(each)).length
    return `  <testsuite name="${xml(file)}" tests="${cases.length}" failures="${failed}">\n${cases.map(caseXml).join('')}  </testsuite>\n`
  })
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join('')}</testsuites>\n`
}

function caseXml(result: CaseResult): string {
  const { sync, name, file, line, ms } = result
  const open = `    <testcase classname="${xml(sync)}" name="${xml(name)}" file="${xml(file)}" line="${line}" time="${(ms / 1000).toFixed(3)}"`
  if (isRight(result)) return `${open}/>\n`
  const lines = detailLines(result)
  return `${open}>\n      <failure message="${xml(lines[0] ?? '')}">${xml(lines.join('\n'))}</failure>\n    </testcase>\n`
}

const XML_ESCAPES: { readonly [character: string]: string } = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
}

function xml(text: string): string {
  return text.replaceAll(/[&<>"]/g, character => XML_ESCAPES[character] ?? '')
}
