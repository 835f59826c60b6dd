import { isSluiceError } from '@sluice/contracts/errors'
import type { TriggerSpec } from '@sluice/contracts/resources'
import { describe, expect, it } from 'vitest'
import { JSON_COLUMN_CASES } from '../test/cases/requests/json-columns.ts'
import { MAPPED_CASES } from '../test/cases/requests/mapped-bodies.ts'
import { TEXT_CASES } from '../test/cases/requests/text-bodies.ts'
import type { MistakeCase, RenderCase } from '../test/cases/case.ts'
import { EXACTNESS_CASES } from '../test/cases/exactness.ts'
import { FILTER_ARGUMENT_CASES } from '../test/cases/filter-arguments.ts'
import { FILTER_CASES } from '../test/cases/filters.ts'
import { HEADER_CASES } from '../test/cases/requests/headers.ts'
import { JSON_CASES } from '../test/cases/requests/json-bodies.ts'
import { MISTAKE_CASES } from '../test/cases/mistakes.ts'
import { NAME_CASES } from '../test/cases/names.ts'
import { NUMBER_CASES } from '../test/cases/numbers.ts'
import { PATH_CASES } from '../test/cases/requests/paths.ts'
import { SILENT_BATCH_CASES, UNKNOWN_NAME_CASES } from '../test/cases/requests/silent-batches.ts'
import { SHOPIFY_CASES } from '../test/cases/shopify.ts'
import { TAG_CASES } from '../test/cases/tags.ts'
import { VALUE_CASES } from '../test/cases/values.ts'
import { compileTrigger, type RenderResult } from './compile.ts'
import { compileTemplate } from './liquid/compile-template.ts'
import { SIGNED_FILTERS } from './filters/filter-signatures.ts'
import { FILTER_NAMES } from './filters/filters.ts'
import { Frame, type TemplateRow } from './liquid/frame.ts'
import { usualLimits } from './liquid/limits.ts'
import { parseTemplate } from './liquid/parse/parse-template.ts'

const CONTEXT = { run: { id: '01JD', startedAt: '2024-02-29T12:34:56.000Z' }, sync: { name: 'orders' } }

function rowsOf(each: RenderCase): readonly TemplateRow[] {
  const { previous = null, captured = null } = each
  return (each.rows ?? [each.row ?? {}]).map(row => ({ row, previous, captured }))
}

function specOf(each: RenderCase | MistakeCase, batched: boolean): TriggerSpec {
  const { json, path = '/', header, allowEmpty } = each
  const body = json === undefined ? each.body : { json }
  return {
    method: 'POST',
    path,
    ...(batched ? { batch: { size: 100, bytes: 1_000_000 } } : {}),
    ...(header === undefined ? {} : { headers: { 'X-Case': header } }),
    ...(body === undefined ? {} : { body }),
    ...(allowEmpty === undefined ? {} : { allowEmpty }),
  }
}

/**
 * A template that is wrong for any row is refused before it is rendered. The tables show both kinds of errors
 * in the same way.
 */
function renderOrRefuse(each: RenderCase, batched: boolean): RenderResult {
  try {
    const trigger = compileTrigger(specOf(each, batched), { sync: 'orders', op: 'added' })
    return trigger.render(rowsOf(each), CONTEXT)
  } catch (error) {
    const detail = isSluiceError(error, 'template') ? error.details[0] : undefined
    if (detail?.field === undefined) throw error
    return {
      kind: 'unrenderable',
      error: `${detail.field.replace('triggers.added.', '')}: ${detail.message}`,
      lacks: null,
    }
  }
}

/** The text that the case's template gives, or `error: …`. */
function outcomeOf(each: RenderCase): string {
  const batched = each.rows !== undefined
  if (each.liquid !== undefined) {
    const template = compileTemplate(parseTemplate(each.liquid), { batched, escaping: null })
    const rows = rowsOf(each)
    return template.run(new Frame(rows, CONTEXT, usualLimits(rows.length)))
  }
  const result = renderOrRefuse(each, batched)
  if (result.kind === 'unrenderable') return `error: ${result.error}`
  if (each.json !== undefined || each.body !== undefined) return result.body ?? 'no body'
  return each.header === undefined ? result.path : (result.headers['X-Case'] ?? 'no header')
}

function runTable(name: string, cases: readonly RenderCase[]): void {
  describe(name, () => {
    for (const each of cases)
      it(each.it, () => {
        expect(outcomeOf(each)).toBe(each.gives ?? `error: ${each.error ?? ''}`)
      })
  })
}

runTable('names', NAME_CASES)
runTable('values', VALUE_CASES)
runTable('numbers', NUMBER_CASES)
runTable('exactness', EXACTNESS_CASES)
runTable('Liquid as Shopify has it', SHOPIFY_CASES)
runTable('tags', TAG_CASES)
runTable('filters', FILTER_CASES)
runTable('json bodies', JSON_CASES)
runTable('JSON columns', JSON_COLUMN_CASES)
runTable('mapped bodies', MAPPED_CASES)
runTable('bodies that are no JSON', TEXT_CASES)
runTable('paths', PATH_CASES)
runTable('headers', HEADER_CASES)
runTable('batches that say nothing', SILENT_BATCH_CASES)

function fieldOf(each: MistakeCase): string {
  if (each.json !== undefined) return 'body.json'
  return each.path === undefined ? 'headers.X-Case' : 'path'
}

describe('mistakes', () => {
  for (const each of [...MISTAKE_CASES, ...UNKNOWN_NAME_CASES, ...FILTER_ARGUMENT_CASES])
    it(each.it, () => {
      const field = each.field ?? fieldOf(each)
      const { message } = each
      const place = each.line === undefined ? {} : { line: each.line, column: each.column }
      const spec = specOf(each, each.batched ?? false)
      let caught: unknown
      try {
        compileTrigger(spec, { sync: 'orders', op: 'changed' })
      } catch (error) {
        caught = error
      }
      expect(isSluiceError(caught, 'template') ? caught.details : caught).toEqual([
        { field: `triggers.changed.${field}`, ...place, message },
      ])
    })
})

describe('the filters', () => {
  it('each have a signature, and each signature has a filter', () => {
    expect([...SIGNED_FILTERS].toSorted()).toEqual([...FILTER_NAMES].toSorted())
  })
})

describe('the tables', () => {
  it('say each thing once', () => {
    const tables = [
      NAME_CASES,
      VALUE_CASES,
      NUMBER_CASES,
      TAG_CASES,
      FILTER_CASES,
      JSON_CASES,
      JSON_COLUMN_CASES,
      MAPPED_CASES,
      TEXT_CASES,
      PATH_CASES,
      HEADER_CASES,
      SILENT_BATCH_CASES,
      EXACTNESS_CASES,
      SHOPIFY_CASES,
    ]
    for (const table of tables) expect(new Set(table.map(each => each.it)).size).toBe(table.length)
  })
})
