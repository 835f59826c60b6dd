/** A topic of Kafka as a source, from the files of a project to requests at the API. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { TopicProducer } from '@sluice/sources/test/topic-producer'
import { projectFolder } from './project-folder.ts'

const brokers = inject('kafkaBrokers')

const PROJECT = `
kind: source
name: cdc
type: kafka
brokers:
  - \${BROKERS}
---
kind: model
name: people
source: cdc
topic: \${TOPIC}
format: rows
---
kind: destination
name: api
baseUrl: \${API_URL}
allowPrivateNetwork: true
---
kind: sync
name: people
model: people
destination: api
triggers:
  added: { method: PUT, path: '/people/{{ id }}', body: { json: '{"name":{{ row.name | json }}}' } }
  changed: added
  removed: { method: DELETE, path: '/people/{{ id }}' }
`

describe.skipIf(brokers === null)('a topic as a source', () => {
  let api: ScriptedApi
  beforeAll(async () => {
    api = await startScriptedApi()
  })
  afterAll(() => api[Symbol.asyncDispose]())

  it('sends what changed since the run before, and removes only what a tombstone removed', async () => {
    await using topic = await TopicProducer.make(brokers ?? '')
    await using project = await projectFolder({
      files: { 'project.yaml': PROJECT },
      env: { API_URL: api.url, BROKERS: brokers ?? '', TOPIC: topic.topic },
    })
    let seen = 0
    const sent = (): readonly string[] => {
      const fresh = api.requests.slice(seen)
      seen += fresh.length
      return fresh.map(({ method, url, body }) => `${method} ${url} ${body}`).sort()
    }
    await topic.write(
      { key: { id: 1 }, value: { id: 1, name: 'Ann' } },
      { key: { id: 2 }, value: { id: 2, name: 'Bob' } },
      { key: { id: 3 }, value: { id: 3, name: 'Cy' } },
    )
    const connected = await project.sluice('validate', '--connect')
    expect(connected.exitCode, connected.stderr).toBe(0)
    expect(sent()).toEqual(['HEAD / '])
    const first = await project.run('people')
    expect(first.view).toMatchObject({ status: 'success', rowsRead: 3 })
    expect(sent()).toEqual([
      'PUT /people/1 {"name":"Ann"}',
      'PUT /people/2 {"name":"Bob"}',
      'PUT /people/3 {"name":"Cy"}',
    ])

    await topic.write(
      { key: { id: 2 }, value: { id: 2, name: 'Bobby' } },
      { key: { id: 1 }, value: null },
      { key: { id: 3 }, value: 'garbage' },
    )
    const second = await project.run('people')
    expect(second.view).toMatchObject({ status: 'warning', rowsRead: 2, rowsInvalid: 1 })
    expect(sent()).toEqual(['DELETE /people/1 ', 'PUT /people/2 {"name":"Bobby"}'])
    const shown = await project.sluice('runs', 'show', second.view.id)
    expect(shown.stdout).toContain(`${topic.topic}, partition 0, offset 5: it is no JSON`)

    const preview = await project.sluice('preview', 'people', '--json')
    expect(preview.exitCode, preview.stderr).toBe(3)
    expect(JSON.parse(preview.stdout)).toMatchObject({ counts: { added: 0, changed: 0, removed: 0 } })
  })

  it('says what is wrong where no topic and no broker is', async () => {
    const env = { API_URL: api.url, BROKERS: brokers ?? '', TOPIC: 'no-such-topic' }
    await using project = await projectFolder({ files: { 'project.yaml': PROJECT }, env })
    const missing = await project.run('people')
    expect(missing.exitCode).toBe(2)
    expect(missing.view).toMatchObject({ status: 'failed', error: expect.stringContaining('no-such-topic') })
    await using away = await projectFolder({
      files: { 'project.yaml': PROJECT },
      env: { ...env, BROKERS: '127.0.0.1:1' },
    })
    const silent = await away.run('people')
    expect(silent.exitCode).toBe(5)
    expect(silent.view).toMatchObject({ status: 'failed', error: expect.stringContaining('Source cdc') })
  })
})
