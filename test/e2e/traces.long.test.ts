/** Traces of runs, as a collector of OpenTelemetry receives them. */
import { describe, expect, it } from 'vitest'
import { startScriptedApi, type RecordedRequest, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { manyPeople, peopleYaml, SYNC } from './people-project.ts'
import type { Profile } from './embedded-profile.ts'
import { bothProfiles } from './profiles.ts'

const PEOPLE = 60
/** More fail than there are spans of failed requests. */
const REJECTED = 30
const FAILED_SPANS = 20
const SECRET = 'the-key-of-the-api'
const PROJECT = peopleYaml({
  destination: `headers: { X-Key: "\${secret:api-key}" }`,
  sync: 'partitions: 1',
})

interface SentSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly {
    readonly key: string
    readonly value: { readonly [type: string]: unknown }
  }[]
  readonly status?: { readonly code: number; readonly message: string }
}

interface Sent {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly { readonly spans: readonly SentSpan[] }[]
  }[]
}

function tracesSuite(profile: Profile): void {
  describe(`traces of runs, ${profile.name}`, () => {
    it('have the phases of a run, and the first requests that failed, below one root', async () => {
      await using collector = await startScriptedApi()
      await using api = await startScriptedApi()
      api.on({}, ({ url }) => ({ status: Number(url.split('/').at(-1)) <= REJECTED ? 422 : 200 }))
      const env = environmentOf(api, collector)
      const files = { 'project.yaml': PROJECT, 'people.csv': manyPeople(PEOPLE) }
      await using world = await profile.open({ files, env, here: true })

      const { view } = await world.project.run(SYNC)
      expect(view.status, world.logs()).toBe('warning')
      await collector.waitFor(requests => {
        const names = spansIn(requests).map(({ name }) => name)
        return names.includes(`run ${SYNC}`) && names.includes('deliver')
      })

      const spans = spansIn(collector.requests)
      expect(collector.requests[0]?.url).toBe('/v1/traces')
      expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1)
      const root = spans.find(({ parentSpanId }) => parentSpanId === undefined)
      const children = spans.filter(({ parentSpanId }) => parentSpanId === root?.spanId)
      expect(children.map(({ name }) => name).toSorted()).toEqual(['deliver', 'detect', 'publish', 'render'])
      expect(root).toMatchObject({ name: `run ${SYNC}` })
      expect(valuesOf(root)).toMatchObject({
        'sluice.run': view.id,
        'sluice.status': 'warning',
        'sluice.added.delivered': `${PEOPLE - REJECTED}`,
        'sluice.added.rejected': `${REJECTED}`,
      })
      const deliver = children.find(({ name }) => name === 'deliver')
      const failed = spans.filter(({ parentSpanId }) => parentSpanId === deliver?.spanId)
      expect(failed).toHaveLength(FAILED_SPANS)
      expect(failed[0]).toMatchObject({ name: 'PUT added', status: { code: 2 } })
      expect(valuesOf(failed[0])).toMatchObject({ 'http.response.status_code': '422' })
      expect(spans).toHaveLength(1 + children.length + failed.length)
      for (const span of spans) expect(isWithin(span, root), span.name).toBe(true)
      expect(JSON.stringify(collector.requests)).not.toContain(SECRET)
    })

    it('hold up no run whose collector does not answer', async () => {
      await using collector = await startScriptedApi()
      collector.on({}, { fault: 'hang' })
      await using api = await startScriptedApi()
      const env = environmentOf(api, collector)
      const files = { 'project.yaml': PROJECT, 'people.csv': manyPeople(3) }
      await using world = await profile.open({ files, env, here: true })
      expect(await world.project.run(SYNC), world.logs()).toMatchObject({ exitCode: 0 })
      await collector.waitFor(1)
      expect(api.requests).toHaveLength(3)
    })
  })
}

function environmentOf(api: ScriptedApi, collector: ScriptedApi): { readonly [name: string]: string } {
  return {
    API_URL: api.url,
    SLUICE_SECRET_API_KEY: SECRET,
    SLUICE_SECRET_API_KEY_FOR: `127.0.0.1:${api.port} destination`,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
  }
}

function spansIn(requests: readonly RecordedRequest[]): readonly SentSpan[] {
  return requests.flatMap(({ body }) => {
    const sent: Sent = JSON.parse(body)
    return sent.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
  })
}

function valuesOf(span: SentSpan | undefined): { readonly [name: string]: unknown } {
  return Object.fromEntries((span?.attributes ?? []).map(({ key, value }) => [key, Object.values(value)[0]]))
}

/** Processes of one machine have one clock. */
function isWithin(span: SentSpan, root: SentSpan | undefined): boolean {
  if (root === undefined) return false
  const [from, to] = [BigInt(span.startTimeUnixNano), BigInt(span.endTimeUnixNano)]
  return from >= BigInt(root.startTimeUnixNano) && from <= to && to <= BigInt(root.endTimeUnixNano)
}

bothProfiles().forEach(tracesSuite)
