/** A project whose sync finds no row, and so sends nothing. */
export const PROJECT = `
kind: source
name: files
type: duckdb
path: .
---
kind: model
name: nobody
source: files
sql: select 1 as id where false
primaryKey: id
---
kind: destination
name: api
baseUrl: http://127.0.0.1:9
---
kind: sync
name: nobody
model: nobody
destination: api
triggers:
  added: { method: PUT, path: '/{{ id }}' }
`
