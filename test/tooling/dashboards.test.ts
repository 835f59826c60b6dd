/** Rules and dashboards in deploy/ ask only for metrics and labels that the processes have. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { showDestinationHealth } from '@sluice/control/destinations/destination-gauge'
import { createAlertMetrics } from '@sluice/alerts/keep/alert-metrics'
import { Refusals } from '@sluice/console/access/refusals'
import { createStageMetrics } from '@sluice/partition/stage-metrics'
import { reportForeign } from '@sluice/topics/foreign-records'
import { createMetrics, type Metrics } from '@sluice/runtime/metrics'
import { beforeAll, describe, expect, it } from 'vitest'
import { parseDocument } from 'yaml'
import { z } from 'zod'

const DEPLOY = fileURLToPath(new URL('../../deploy', import.meta.url))
const RULES = join(DEPLOY, 'prometheus/sluice-rules.yaml')
const GRAFANA = join(DEPLOY, 'grafana')

const rules = z.object({
  groups: z.array(z.object({ rules: z.array(z.object({ alert: z.string(), expr: z.string() })) })),
})
const dashboard = z.object({
  panels: z.array(z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })) })),
  templating: z.object({ list: z.array(z.object({ definition: z.string().optional() })) }),
})

/** The labels that Prometheus itself adds. */
const ADDED = ['job', 'instance']

/** All metrics by name, as Prometheus sees them, with their labels. */
async function knownMetrics(): Promise<Map<string, readonly string[]>> {
  const known = new Map<string, readonly string[]>([['up', []]])
  const note = (names: readonly string[], labels: readonly string[] = []): void => {
    for (const name of names) known.set(`sluice_${name}`, labels)
  }
  const nothing = {
    add: () => undefined,
    set: () => undefined,
    observe: () => undefined,
    remove: () => undefined,
  }
  const noting: Metrics = {
    counter: ({ name, labels }) => (note([name], labels), nothing),
    gauge: ({ name, labels }) => (note([name], labels), nothing),
    histogram: ({ name, labels = [] }) => {
      note([`${name}_bucket`], [...labels, 'le'])
      note([`${name}_sum`, `${name}_count`], labels)
      return nothing
    },
    sampled: ({ name, labels }) => note([name], labels),
    text: () => Promise.resolve(''),
    contentType: '',
  }
  createStageMetrics(noting)
  createAlertMetrics(noting)
  showDestinationHealth(noting, { destinationHealth: () => Promise.resolve(new Map()) })
  const silent = { warn: () => undefined, error: () => undefined } as never
  new Refusals({ logger: silent, metrics: noting })
  reportForeign(silent, noting)
  const text = await createMetrics().text()
  for (const [, name = ''] of text.matchAll(/^# TYPE (\w+)/gm)) if (!known.has(name)) known.set(name, [])
  return known
}

/** Finds metrics and labels of an expression that do not exist. */
function unknownIn(expr: string, known: ReadonlyMap<string, readonly string[]>): string[] {
  const plain = expr.replaceAll(/\$\w+/g, '5m')
  const unknown: string[] = []
  const labels = new Set(ADDED)
  for (const [, name = '', matchers = ''] of plain.matchAll(/\b(sluice_\w+|up)\b(?:\{([^}]*)\})?/g)) {
    const own = known.get(name)
    if (own === undefined) unknown.push(name)
    for (const label of own ?? []) labels.add(label)
    for (const [, label = ''] of matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g))
      if (own !== undefined && ![...own, ...ADDED].includes(label)) unknown.push(`${name}{${label}}`)
  }
  for (const [, list = ''] of plain.matchAll(
    /\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)/g,
  ))
    for (const label of list.split(',').map(part => part.trim()))
      if (label !== '' && !labels.has(label)) unknown.push(`by (${label})`)
  return unknown
}

let known: ReadonlyMap<string, readonly string[]>
beforeAll(async () => {
  known = await knownMetrics()
})

it.each([
  ['a metric that nobody has', 'rate(sluice_rows_total[5m])', ['sluice_rows_total']],
  ['a label that a metric lacks', 'sluice_breaker_open{sync="a"}', ['sluice_breaker_open{sync}']],
  ['a label in a grouping', 'sum by (sync, outcomes) (sluice_attempts_total)', ['by (outcomes)']],
  ['nothing that is missing', 'sum by (sync, job) (sluice_attempts_total{outcome="rejected"})', []],
])('%s is found', (_what, expr, missing) => {
  expect(unknownIn(expr, known)).toEqual(missing)
})

describe('the rules for Prometheus', () => {
  it('ask for metrics and labels that there are', () => {
    const { groups } = rules.parse(parseDocument(readFileSync(RULES, 'utf8')).toJS())
    const all = groups.flatMap(group => group.rules)
    expect(all.length).toBeGreaterThan(5)
    expect(all.flatMap(({ alert, expr }) => unknownIn(expr, known).map(what => `${alert}: ${what}`))).toEqual(
      [],
    )
  })
})

describe.each(readdirSync(GRAFANA))('the dashboard %s', file => {
  it('asks for metrics and labels that there are', async () => {
    const { panels, templating } = dashboard.parse(JSON.parse(readFileSync(join(GRAFANA, file), 'utf8')))
    expect(panels.length).toBeGreaterThan(5)
    const exprs = [
      ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const)),
      ...templating.list.flatMap(({ definition }) =>
        definition === undefined
          ? []
          : [
              [
                'a variable',
                definition.replace(/^label_values\((.*), (\w+)\)$/, 'sum by ($2) ($1)'),
              ] as const,
            ],
      ),
    ]
    expect(exprs.flatMap(([title, expr]) => unknownIn(expr, known).map(what => `${title}: ${what}`))).toEqual(
      [],
    )
  })
})
