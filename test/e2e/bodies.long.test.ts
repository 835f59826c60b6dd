/** Every kind of body and method, end to end: the exact bytes that an API gets. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startScriptedApi, type RecordedRequest, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

const RESOURCES = `
kind: source
name: files
type: duckdb
path: .
---
kind: model
name: people
source: files
sql: |
  select id, name, doc, doc::json as meta, 9007199254740992 + id as big, (id + 0.5)::decimal(10, 2) as amount
  from read_csv('people.csv', types = {'doc': 'varchar'})
primaryKey: id
---
kind: destination
name: api
baseUrl: \${API_URL}
allowPrivateNetwork: true
---
kind: destination
name: typed
baseUrl: \${API_URL}
allowPrivateNetwork: true
headers: { content-type: application/vnd.api+json }
`

const ANN = String.raw`1,Ann & <Bob>,"{""a"": [1.0, ""x""]}"`
const ZOE = String.raw`2,"Zoë ""Z"" = 1",[ ]`

interface Sent {
  readonly trigger: string
  readonly destination?: string
  /** The bodies that arrive for Ann and Zoë: one for each, or one for both. */
  readonly bodies: readonly string[]
  readonly contentType: string | undefined
}

const BODIES: { readonly [name: string]: Sent } = {
  json: {
    trigger: `body: { json: '{"id":{{ id }},"name":{{ row.name | json }},"big":{{ row.big | json }},}' }`,
    bodies: [
      '{"id":1,"name":"Ann & <Bob>","big":9007199254740993}',
      '{"id":2,"name":"Zoë \\"Z\\" = 1","big":9007199254740994}',
    ],
    contentType: 'application/json',
  },
  'json-batch': {
    trigger: `batch: {}, body: { json: '[{% for row in rows %}{{ row.amount | json }},{% endfor %}]' }`,
    destination: 'typed',
    bodies: ['[1.50,2.50]'],
    contentType: 'application/vnd.api+json',
  },
  'json-column': {
    trigger: `body: { jsonColumn: doc }`,
    bodies: ['{"a": [1.0, "x"]}', '[ ]'],
    contentType: 'application/json',
  },
  'json-column-batch': {
    trigger: `batch: {}, body: { jsonColumn: doc }`,
    bodies: ['[{"a": [1.0, "x"]},[ ]]'],
    contentType: 'application/json',
  },
  'json-read-from-column': {
    trigger: `body: { json: '{"a":{{ row.meta.a[0] | json }},"meta":{{ row.meta | json }}}' }`,
    bodies: ['{"a":1,"meta":{"a": [1.0, "x"]}}', '{"a":null,"meta":[ ]}'],
    contentType: 'application/json',
  },
  fields: {
    trigger: `body: { fields: { id: id, who: { n: name, t: [amount, { value: [1, "1", null, true] }] }, channel: { value: 3 }, x: { template: "{{ row.name }}/{{ id }}" } } }`,
    bodies: [
      '{"id":1,"who":{"n":"Ann & <Bob>","t":[1.50,[1,"1",null,true]]},"channel":3,"x":"Ann & <Bob>/1"}',
      '{"id":2,"who":{"n":"Zoë \\"Z\\" = 1","t":[2.50,[1,"1",null,true]]},"channel":3,"x":"Zoë \\"Z\\" = 1/2"}',
    ],
    contentType: 'application/json',
  },
  'fields-batch': {
    trigger: `batch: {}, body: { fields: { id: id, big: big }, wrap: '{"inputs": {{ items }}, "of": {{ sync.name | json }}}' }`,
    bodies: [
      '{"inputs": [{"id":1,"big":9007199254740993},{"id":2,"big":9007199254740994}], "of": "fields-batch"}',
    ],
    contentType: 'application/json',
  },
  xml: {
    trigger: `headers: { Content-Type: 'text/xml; id={{ id }}' }, body: { xml: '<p id="{{ id }}">{{ row.name }}</p>' }`,
    destination: 'typed',
    bodies: ['<p id="1">Ann &amp; &lt;Bob&gt;</p>', '<p id="2">Zoë &quot;Z&quot; = 1</p>'],
    contentType: 'text/xml; id=1',
  },
  form: {
    trigger: `body: { form: { id: '{{ id }}', 'full name': '{{ row.name }}', count: 01 } }`,
    bodies: ['id=1&full+name=Ann+%26+%3CBob%3E&count=01', 'id=2&full+name=Zo%C3%AB+%22Z%22+%3D+1&count=01'],
    contentType: 'application/x-www-form-urlencoded',
  },
  'form-batch': {
    trigger: `batch: {}, body: { form: { ids: "{{ rows | map: 'id' | join: ',' }}" } }`,
    bodies: ['ids=1%2C2'],
    contentType: 'application/x-www-form-urlencoded',
  },
  text: {
    trigger: `batch: {}, body: { text: { contentType: 'text/csv; charset=utf-8', template: "id,name\\n{% for row in rows %}{{ row.id }},{{ row.name }}\\n{% endfor %}" } }`,
    bodies: ['id,name\n1,Ann & <Bob>\n2,Zoë "Z" = 1\n'],
    contentType: 'text/csv; charset=utf-8',
  },
  absent: { trigger: '', bodies: ['', ''], contentType: undefined },
}

function syncYaml(name: string, { trigger, destination = 'api' }: Sent): string {
  return `---
kind: sync
name: ${name}
model: people
destination: ${destination}
partitions: 1
triggers:
  added: { method: POST, path: /${name}, ${trigger} }
`
}

const METHODS = `---
kind: sync
name: methods
model: people
destination: api
partitions: 1
triggers:
  added: { method: PUT, path: '/p/{{ id }}', body: { json: '{"put":{{ id }}}' } }
  changed: { method: PATCH, path: '/p/{{ id }}?was={{ previous.name }}', body: { fields: { name: name } } }
  removed: { method: DELETE, path: '/p/{{ id }}' }
---
kind: sync
name: others
model: people
destination: api
partitions: 1
triggers:
  added: { method: GET, path: '/p?name={{ row.name }}' }
  removed: { method: DELETE, path: /p, batch: {}, body: { json: "{{ rows | map: 'id' | json }}" } }
`

describe('a body', () => {
  let api: ScriptedApi
  let project: ProjectFolder
  let sentByKind: readonly RecordedRequest[]

  beforeAll(async () => {
    api = await startScriptedApi()
    const syncs = Object.entries(BODIES).map(([name, sent]) => syncYaml(name, sent))
    project = await projectFolder({
      files: { 'project.yaml': RESOURCES + syncs.join('') + METHODS, 'people.csv': csv(ANN, ZOE) },
      env: { API_URL: api.url },
      here: true,
    })
    // One command for all: to open the folder for each would cost more than the runs.
    const { exitCode, stdout } = await project.sluice('run', ...Object.keys(BODIES), '--json')
    expect(exitCode, stdout).toBe(0)
    sentByKind = [...api.requests]
  })
  afterAll(async () => {
    await project[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })

  /** The requests of a run that delivers all its rows. */
  async function sentBy(sync: string): Promise<readonly RecordedRequest[]> {
    api.reset()
    const { exitCode, view } = await project.run(sync)
    expect(view).toMatchObject({ status: 'success', error: null })
    expect(exitCode).toBe(0)
    return api.requests
  }

  it.each(Object.entries(BODIES))('of the kind %s arrives as it was written', (name, sent) => {
    const requests = sentByKind.filter(({ url }) => url === `/${name}`)
    expect(requests.map(({ method, url }) => `${method} ${url}`)).toEqual(
      sent.bodies.map(() => `POST /${name}`),
    )
    expect(requests.map(({ body }) => body).sort()).toEqual([...sent.bodies].sort())
    const first = requests.find(({ body }) => body === sent.bodies[0])
    expect(first?.headers['content-type']).toBe(sent.contentType)
    expect(first?.headers['content-length']).toBe(String(Buffer.byteLength(sent.bodies[0] ?? '')))
  })

  it('goes with every method, or none', async () => {
    const lines = (requests: readonly RecordedRequest[]) =>
      requests.map(({ method, url, body }) => `${method} ${url} ${body}`).sort()
    expect(lines(await sentBy('methods'))).toEqual(['PUT /p/1 {"put":1}', 'PUT /p/2 {"put":2}'])
    const got = await sentBy('others')
    expect(lines(got)).toEqual([
      'GET /p?name=Ann%20%26%20%3CBob%3E ',
      'GET /p?name=Zo%C3%AB%20%22Z%22%20%3D%201 ',
    ])
    for (const { headers } of got) {
      expect(headers).not.toHaveProperty('content-type')
      expect(headers).not.toHaveProperty('content-length')
      expect(headers).not.toHaveProperty('transfer-encoding')
    }
    await project.write('people.csv', csv(ANN.replace('Ann & <Bob>', 'Ann')))
    const changed = await sentBy('methods')
    expect(lines(changed)).toEqual(['DELETE /p/2 ', 'PATCH /p/1?was=Ann%20%26%20%3CBob%3E {"name":"Ann"}'])
    const types = changed.map(({ method, headers }) => [method, headers['content-type']])
    expect(Object.fromEntries(types)).toEqual({ DELETE: undefined, PATCH: 'application/json' })
    expect(lines(await sentBy('others'))).toEqual(['DELETE /p [2]'])
  })
})

function csv(...rows: readonly string[]): string {
  return ['id,name,doc', ...rows, ''].join('\n')
}
