import { afterEach, describe, expect, it, vi } from 'vitest'
import { startScriptedApi, type RecordedRequest, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { openTraces } from './open-traces.ts'
import { createOtlpTraces, otlpSettings } from './otlp-traces.ts'
import { traceId, type Span, type Traces } from './span.ts'

const RUN = '01KQZ3V5T0F8H2N4P6R8T0V2X4'
const ROOT: Span = {
  ...{
    runId: RUN,
    place: '',
    parent: null,
    name: 'run people',
    from: 1_700_000_000_000.5,
    to: 1_700_000_001_000,
  },
  ...{ error: 'no', attributes: { text: 'a', whole: 3, part: 0.5, is: true, none: null } },
}
const PART: Span = {
  ...ROOT,
  ...{ place: 'deliver/3', parent: '', name: 'deliver', isRequest: true, error: null, attributes: {} },
}
const PACE = { gatherMs: 1, pauseFirstMs: 1, pauseLastMs: 1 }

interface SentSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly [field: string]: unknown
}

function spansIn(requests: readonly RecordedRequest[]): readonly SentSpan[] {
  return requests.flatMap(({ body }) => {
    const sent: { resourceSpans: { scopeSpans: { spans: SentSpan[] }[] }[] } = JSON.parse(body)
    return sent.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
  })
}

describe('traces', () => {
  const apis: ScriptedApi[] = []
  afterEach(async () => {
    await Promise.all(apis.splice(0).map(api => api.close()))
  })

  const collector = async (): Promise<ScriptedApi> => {
    const api = await startScriptedApi()
    apis.push(api)
    return api
  }
  const logger = () => ({ info: vi.fn(), warn: vi.fn() })
  const sender = (url: string, of = logger()): Traces & AsyncDisposable => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: url }
    return createOtlpTraces(otlpSettings(env, { service: 's', logger: of }), of, PACE)
  }

  it('are off unless a variable names an endpoint', async () => {
    const of = { service: 's', logger: logger() }
    const on = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' }
    expect(await openTraces({}, of)).toBeNull()
    expect(await openTraces({ OTEL_EXPORTER_OTLP_ENDPOINT: '' }, of)).toBeNull()
    expect(await openTraces({ ...on, OTEL_SDK_DISABLED: 'true' }, of)).toBeNull()
    expect(await openTraces({ ...on, OTEL_TRACES_EXPORTER: 'none' }, of)).toBeNull()
    await using traces = await openTraces(on, of)
    expect(traces).not.toBeNull()
  })

  it('are off, and say so, where the endpoint is no URL', async () => {
    const told = logger()
    expect(
      await openTraces({ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' }, { service: 's', logger: told }),
    ).toBeNull()
    expect(told.warn).toHaveBeenCalledOnce()
  })

  it('have the bits of the run’s ULID as their id', () => {
    expect(traceId('00000000000000000000000001')).toBe('00000000000000000000000000000001')
    expect(traceId('7ZZZZZZZZZZZZZZZZZZZZZZZZZ')).toBe('f'.repeat(32))
    expect(traceId('no ULID')).toMatch(/^[0-9a-f]{32}$/)
  })

  it('are sent as OTLP in JSON, with the headers and the resource that the variables name', async () => {
    const api = await collector()
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: `${api.url}/otlp/`,
      OTEL_EXPORTER_OTLP_HEADERS: 'api-key=a%20b, x=y',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=test',
    }
    {
      await using traces = await openTraces(env, { service: 'sluice-delivery', logger: logger() })
      traces?.take(ROOT)
      traces?.take(PART)
    }
    const [sent] = api.requests
    expect(sent).toMatchObject({
      ...{ method: 'POST', url: '/otlp/v1/traces' },
      headers: { 'content-type': 'application/json', 'api-key': 'a b', x: 'y' },
    })
    const { resourceSpans }: { resourceSpans: { resource: { attributes: unknown[] } }[] } = JSON.parse(
      sent?.body ?? '',
    )
    expect(resourceSpans[0]?.resource.attributes).toEqual(
      expect.arrayContaining([
        { key: 'service.name', value: { stringValue: 'sluice-delivery' } },
        { key: 'deployment.environment', value: { stringValue: 'test' } },
      ]),
    )
    const [root, part] = spansIn(api.requests)
    expect(root).toEqual({
      traceId: traceId(RUN),
      spanId: expect.stringMatching(/^[0-9a-f]{16}$/),
      name: 'run people',
      kind: 1,
      startTimeUnixNano: '1700000000000500000',
      endTimeUnixNano: '1700000001000000000',
      attributes: [
        { key: 'text', value: { stringValue: 'a' } },
        { key: 'whole', value: { intValue: '3' } },
        { key: 'part', value: { doubleValue: 0.5 } },
        { key: 'is', value: { boolValue: true } },
      ],
      status: { code: 2, message: 'no' },
    })
    expect(part).toMatchObject({ traceId: root?.traceId, parentSpanId: root?.spanId, kind: 3 })
    expect(part?.['status']).toBeUndefined()
  })

  it('wait while the endpoint fails, which is logged once, and come once it answers', async () => {
    const api = await collector()
    api.on({}, { status: 503 }, { times: 3 })
    const told = logger()
    await using traces = sender(api.url, told)
    traces.take(ROOT)
    await api.waitFor(4)
    expect(spansIn(api.requests).map(({ spanId }) => spanId)).toHaveLength(4)
    await vi.waitFor(() => expect(told.info).toHaveBeenCalledOnce())
    expect(told.warn).toHaveBeenCalledOnce()
  })

  it('are dropped where the endpoint refuses them', async () => {
    const api = await collector()
    api.on({}, { status: 400 }, { times: 1 })
    const told = logger()
    await using traces = sender(api.url, told)
    traces.take(ROOT)
    await vi.waitFor(() => expect(told.warn).toHaveBeenCalledOnce())
    traces.take(PART)
    await api.waitFor(2)
    expect(spansIn(api.requests.slice(1))).toMatchObject([{ name: 'deliver' }])
  })

  it('are bounded while nobody takes them: the oldest go', async () => {
    const api = await collector()
    const { promise: mayAnswer, resolve: answer } = Promise.withResolvers<void>()
    api.on({}, async () => {
      await mayAnswer
      return {}
    })
    {
      await using traces = sender(api.url)
      for (let n = 0; n < 5_000; n += 1) traces.take({ ...PART, place: `deliver/${n}` })
      answer()
    }
    expect(spansIn(api.requests)).toHaveLength(2_048)
    expect(spansIn(api.requests)[0]).toMatchObject({ name: 'deliver' })
  })

  it('hold up no process that ends for longer than two seconds', async () => {
    const api = await collector()
    api.on({}, { fault: 'hang' })
    const since = performance.now()
    {
      await using traces = sender(api.url)
      traces.take(ROOT)
      await api.waitFor(1)
    }
    expect(performance.now() - since).toBeLessThan(5_000)
  })

  it('of an endpoint that refuses connections hold up nothing', async () => {
    const api = await collector()
    await api.close()
    const told = logger()
    {
      await using traces = sender(api.url, told)
      for (let n = 0; n < 1_500; n += 1) traces.take(PART)
    }
    expect(told.warn).toHaveBeenCalledOnce()
  })
})
