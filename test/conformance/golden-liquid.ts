/**
 * Compares Sluice's Liquid with Golden Liquid, the cases of https://github.com/jg-rp/golden-liquid (MIT),
 * which Shopify's own Liquid passes. Run: node test/conformance/golden-liquid.ts golden_liquid.json
 *
 * The cases are not part of this repository, but the list of intended deviations is. That list has to be
 * exact. If a case newly differs, or no longer does, the program says so and exits with 1.
 */
import { readFileSync } from 'node:fs'
import { Decimal, type Row } from '@sluice/contracts/values'
import { compileTemplate } from '@sluice/templates/liquid/compile-template'
import { Frame } from '@sluice/templates/liquid/frame'
import { usualLimits } from '@sluice/templates/liquid/limits'
import { parseTemplate } from '@sluice/templates/liquid/parse/parse-template'
import { TemplateFault } from '@sluice/templates/liquid/template-fault'
import { templateNames } from '@sluice/templates/liquid/template-names'
import { z } from 'zod'
import { GOLDEN_DEVIATIONS } from './golden-deviations.ts'

const goldenCase = z.object({
  name: z.string(),
  template: z.string(),
  data: z.custom<Row>().default({}),
  result: z.string().optional(),
  results: z.array(z.string()).optional(),
  invalid: z.boolean().default(false),
  tags: z.array(z.string()).default([]),
})
const suite = z.object({ tests: z.array(goldenCase) })
type GoldenCase = z.output<typeof goldenCase>

/** Templates read no files here. */
const READS_FILES = new Set(['include tag', 'render tag'])

/** Keeps the point of a number that is written with one. A whole JavaScript number would print without it. */
function withPoint(_name: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source ?? ''
  return typeof value === 'number' && Number.isInteger(value) && source.includes('.')
    ? new Decimal(source)
    : value
}

/** The text that the case's template gives, or null if it is refused. */
function rendered({ template, data }: GoldenCase): string | null {
  try {
    const parsed = parseTemplate(template)
    templateNames(parsed.nodes, { batched: false })
    const compiled = compileTemplate(parsed, { batched: false, escaping: null })
    const context = { run: { id: '01JD', startedAt: new Date().toISOString() }, sync: { name: 'golden' } }
    return compiled.run(new Frame([{ row: data, previous: null, captured: null }], context, usualLimits(1)))
  } catch (error) {
    // The filters that are liquidjs's refuse in their own way.
    const isRefused =
      error instanceof TemplateFault || (error instanceof Error && error.name === 'AssertionError')
    if (isRefused) return null
    throw error
  }
}

function isRight(each: GoldenCase): boolean {
  const found = rendered(each)
  if (found === null || each.invalid) return found === null && each.invalid
  return [...(each.results ?? []), each.result].includes(found)
}

const [, , file] = process.argv
if (file === undefined) {
  process.stderr.write('name the file of the cases: golden_liquid.json of github.com/jg-rp/golden-liquid\n')
  process.exit(2)
}
const all = suite.parse(JSON.parse(readFileSync(file, 'utf8'), withPoint)).tests
const cases = all.filter(({ tags }) => !tags.some(tag => READS_FILES.has(tag)))
const wrong = cases.filter(each => !isRight(each)).map(({ name }) => name)
const unexpected = wrong.filter(name => !GOLDEN_DEVIATIONS.has(name))
const outdated = [...GOLDEN_DEVIATIONS.keys()].filter(name => !wrong.includes(name))
for (const name of unexpected) process.stdout.write(`differs, and is not on the list: ${name}\n`)
for (const name of outdated) process.stdout.write(`is on the list, and does not differ: ${name}\n`)
const right = cases.length - wrong.length
process.stdout.write(
  `${right} of ${cases.length} as Shopify has them (${((100 * right) / cases.length).toFixed(2)} %)\n`,
)
process.exitCode = unexpected.length + outdated.length === 0 ? 0 : 1
