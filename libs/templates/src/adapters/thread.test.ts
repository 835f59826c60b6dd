import { createServer } from 'node:http'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { Decimal, JsonText, type Row } from '@sluice/contracts/values'
import type { Definition } from '@sluice/contracts/resources'
import { sampleChange, sampleDefinition } from '@sluice/testkit/sample-records'
import { renderChanges, type PlacedChange } from '../rendering/render-changes.ts'
import { renderInThread } from './thread.ts'

const CONTEXT = { run: { id: 'RUN1', startedAt: '2026-01-01T00:00:00.000Z' }, sync: { name: 'people' } }
/** Close to the limits of Liquid: at work for some ten milliseconds for each row. */
const HEAVY = `{% for a in (1..900) %}{% for b in (1..70) %}{% assign x = b | times: 7 %}{% endfor %}{% endfor %}`

function definitionWith(json: string): Definition {
  const definition = sampleDefinition({})
  const added = { method: 'POST', path: '/x', body: { json } } as const
  return { ...definition, sync: { ...definition.sync, triggers: { added } } }
}

async function* changesOf(rows: readonly Row[]): AsyncGenerator<readonly PlacedChange[]> {
  yield await Promise.resolve(
    rows.map((after, seq) => ({
      ...{ partition: 0, bytes: 100 },
      change: sampleChange({ op: 'added', seq, key: `k${seq}`, after, before: null }),
    })),
  )
}

async function all(items: AsyncIterable<unknown>): Promise<unknown[]> {
  const found: unknown[] = []
  for await (const item of items) found.push(item)
  return found
}

describe('rendering in a thread of its own', () => {
  it('gives the bytes that this thread would, for every kind of value', async () => {
    const odd = Object.fromEntries([['__proto__', 'own'] as const])
    const rows: Row[] = [
      {
        ...odd,
        a: new Decimal('12345678901234567890.10'),
        b: new JsonText('{"x":1.0}'),
        c: 9007199254740993n,
      },
      { a: null, b: new Uint8Array([0, 255]), c: [new Decimal('-0.5'), { d: new JsonText('[]') }], e: -0 },
      { a: Number.NaN, b: '\\u0000"', c: true },
      ...Array.from({ length: 250 }, (_, n) => ({ a: n })),
    ]
    const definition = definitionWith('{"a":{{ row.a | json }},"row":{{ row | json }}}')
    const { signal } = new AbortController()
    const [here, there] = await Promise.all([
      all(renderChanges(changesOf(rows), definition, CONTEXT)),
      all(renderInThread(signal)(changesOf(rows), definition, CONTEXT)),
    ])
    expect(here).toHaveLength(rows.length)
    expect(there).toEqual(here)
  })

  it('fails as this thread would', async () => {
    const rendered = renderInThread(new AbortController().signal)(
      changesOf([{ a: 1 }]),
      definitionWith('{{ row.a | nonsense }}'),
      CONTEXT,
    )
    await expect(all(rendered)).rejects.toMatchObject({
      code: 'template',
      message: expect.stringMatching(/nonsense/),
    })
  })

  it('delays no answer of this thread, and ends in the midst of a template', async () => {
    const server = createServer((_request, response) => response.end('ok')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const url = `http://127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}/`
    await (await fetch(url)).text()
    const ending = new AbortController()
    const rows = Array.from({ length: 1000 }, (_, a) => ({ a }))
    const rendering = renderInThread(ending.signal)(changesOf(rows), definitionWith(`${HEAVY}{}`), CONTEXT)
    const first = await rendering.next()
    expect(first.value).toMatchObject({ rendered: { kind: 'request' } })
    const rest = all(rendering)
    const busy = process.threadCpuUsage()
    for (let asked = 0; asked < 20; asked += 1) await (await fetch(url)).text()
    const { user, system } = process.threadCpuUsage(busy)
    ending.abort(new Error('nobody waits any more'))
    await expect(rest).rejects.toThrow('nobody waits any more')
    server.close().closeAllConnections()
    // Rendering the rows that were rendered meanwhile here would have taken longer than that.
    expect((user + system) / 1000).toBeLessThan(100)
  })
})
