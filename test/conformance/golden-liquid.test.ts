/**
 * Sluice's Liquid beside Golden Liquid, the cases of https://github.com/jg-rp/golden-liquid (MIT), which
 * Shopify's own Liquid passes. The list of intended deviations has to be exact.
 */
import { readFileSync } from 'node:fs'
import { Decimal, type Row } from '@sluice/contracts/values'
import { compileTemplate } from '@sluice/templates/liquid/compile-template'
import { Frame } from '@sluice/templates/liquid/frame'
import { usualLimits } from '@sluice/templates/liquid/limits'
import { parseTemplate } from '@sluice/templates/liquid/parse/parse-template'
import { TemplateFault } from '@sluice/templates/liquid/template-fault'
import { templateNames } from '@sluice/templates/liquid/template-names'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { GOLDEN_DEVIATIONS } from './golden-deviations.ts'

const goldenCase = z.object({
  name: z.string(),
  template: z.string(),
  data: z.custom<Row>().default({}),
  result: z.string().optional(),
  results: z.array(z.string()).optional(),
  invalid: z.boolean().default(false),
})
const suite = z.object({ tests: z.array(goldenCase) })
type GoldenCase = z.output<typeof goldenCase>

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

const text = readFileSync(new URL('golden-liquid.json', import.meta.url), 'utf8')
const cases = suite.parse(JSON.parse(text, withPoint)).tests

describe('Liquid', () => {
  it('gives what Shopify gives, in all cases but those that differ on purpose', () => {
    expect(cases).toHaveLength(1_020)
    const wrong = cases.filter(each => !isRight(each)).map(({ name }) => name)
    expect(wrong.toSorted()).toEqual([...GOLDEN_DEVIATIONS.keys()].toSorted())
  })
})
