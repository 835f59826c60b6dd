/** A database of SQLite as a source, as the command sees it. */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { projectFolder } from './project-folder.ts'

const PROJECT = `
kind: source
name: shop
type: sqlite
path: shop.sqlite
---
kind: model
name: orders
source: shop
table: orders
primaryKey: id
---
kind: destination
name: api
baseUrl: \${API_URL}
allowPrivateNetwork: true
---
kind: sync
name: orders
model: orders
destination: api
triggers:
  added: { method: PUT, path: '/orders/{{ id }}', body: { json: '{"total":{{ row.total | json }},"note":{{ row.note | json }}}' } }
  changed: added
  removed: { method: DELETE, path: '/orders/{{ id }}' }
`

let api: ScriptedApi
beforeAll(async () => {
  api = await startScriptedApi()
})
afterAll(() => api[Symbol.asyncDispose]())

it('is synced by its tables, with values of their own types, and is checked by validate', async () => {
  await using project = await projectFolder({ files: { 'project.yaml': PROJECT }, env: { API_URL: api.url } })
  const missing = await project.sluice('validate', '--connect')
  expect(missing.exitCode).toBe(2)
  expect(missing.stderr).toContain('shop.sqlite, which does not exist')

  const shop = new DatabaseSync(join(project.dir, 'shop.sqlite'))
  shop.exec('CREATE TABLE orders (id INTEGER PRIMARY KEY, total DECIMAL(9,2), note TEXT)')
  shop.exec(
    "INSERT INTO orders VALUES (9007199254740993, 9007199254740993, 'é'), (2, 12.5, NULL), (3, 3, '')",
  )
  const checked = await project.sluice('validate', '--connect')
  expect(checked.exitCode, checked.stderr).toBe(0)
  let seen = api.requests.length
  const sent = (): readonly string[] => {
    const fresh = api.requests.slice(seen)
    seen += fresh.length
    return fresh.map(({ method, url, body }) => `${method} ${url} ${body}`).sort()
  }
  expect((await project.run('orders')).view).toMatchObject({ status: 'success', rowsRead: 3 })
  expect(sent()).toEqual([
    'PUT /orders/2 {"total":12.5,"note":null}',
    'PUT /orders/3 {"total":3,"note":""}',
    'PUT /orders/9007199254740993 {"total":9007199254740993,"note":"é"}',
  ])

  shop.exec("UPDATE orders SET total = 'on request' WHERE id = 2; DELETE FROM orders WHERE id = 3")
  shop.close()
  expect((await project.run('orders')).view).toMatchObject({ status: 'success', rowsRead: 2 })
  expect(sent()).toEqual(['DELETE /orders/3 ', 'PUT /orders/2 {"total":"on request","note":null}'])
})
