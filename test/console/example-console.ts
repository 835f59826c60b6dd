/** The console with the example that the demo runs, of which one run went well and one did not. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { servedConsole, type ServedConsole } from './console-page.ts'

const EXAMPLE = fileURLToPath(new URL('../../docs/examples/algolia/', import.meta.url))
export const EXAMPLE_SYNC = 'algolia-synonyms'

/** Disposing it ends the server and the API. */
export interface ExampleConsole extends AsyncDisposable {
  readonly served: ServedConsole
}

/** The API takes all rows of the first run, and refuses to remove one in the second. */
export async function exampleConsole(): Promise<ExampleConsole> {
  const api = await startScriptedApi()
  const served = await servedConsole({
    files: {
      'sluice.yaml': 'kind: project\nname: shop\n',
      'shop.yaml': fileOf('shop.yaml'),
      'algolia.yaml': fileOf('algolia.yaml'),
      'algolia-synonyms.yaml': fileOf('algolia-synonyms.yaml'),
      'data/synonyms.csv': fileOf('data/synonyms.csv'),
    },
    env: { ALGOLIA_URL: api.url, SLUICE_SECRET_ALGOLIA_KEY: 'not-a-real-key' },
  })
  await served.project.sluice('run', EXAMPLE_SYNC)
  api.on(
    { method: 'DELETE' },
    { status: 403, body: '{"message":"Method not allowed with this API key","status":403}' },
  )
  const [head = '', ...rows] = fileOf('data/synonyms.csv').trim().split('\n')
  await served.project.write('data/synonyms.csv', `${[head, ...rows.slice(1), '99,tea kettle'].join('\n')}\n`)
  await served.project.sluice('run', EXAMPLE_SYNC)
  return {
    served,
    async [Symbol.asyncDispose]() {
      await served[Symbol.asyncDispose]()
      await api[Symbol.asyncDispose]()
    },
  }
}

const fileOf = (name: string): string => readFileSync(`${EXAMPLE}${name}`, 'utf8')
