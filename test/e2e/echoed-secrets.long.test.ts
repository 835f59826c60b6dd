/**
 * A whole run against an API that returns the secret in every way that it can. The secret appears nowhere
 * (R20).
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import { projectFolder } from './project-folder.ts'
import { ENCODINGS, stretchesFound } from './secret-stretches.ts'

const SECRET = `sk_live_${Array.from({ length: 12 }, (_, at) => `${at}Zq/+"`).join('')}`

it('a secret that an API returns is in no file, no output and no log', async () => {
  await using api = await startScriptedApi()
  let at = 0
  api.on({}, () => {
    at += 1
    const encoded = (ENCODINGS[at % ENCODINGS.length] ?? String)(SECRET)
    const body = `${'-'.repeat([0, 150, 65_500, 190][at % 4] ?? 0)}${encoded} was refused`
    const headers = { 'x-said': encoded, location: `https://api.test/?of=${encoded}` }
    return { status: [400, 200, 500, 409, 302][at % 5] ?? 400, headers, body }
  })
  const rows = Array.from({ length: 120 }, (_, row) => `${row},n${row}`)
  await using folder = await projectFolder({
    env: { API_URL: api.url, SLUICE_SECRET_KEY: SECRET, SLUICE_LOG_LEVEL: 'trace' },
    files: {
      'people.csv': peopleCsv(...rows),
      'sluice.yaml': peopleYaml({
        destination: "headers: { X-App: 'k ${secret:key}' }\nquery: { q: '${secret:key}' }",
        sync: 'errors: { answers: [{ status: 409, as: exists }] }',
      }),
    },
  })
  const outputs = [await folder.sluice('run', SYNC), await folder.sluice('attempts', '--json')]
  outputs.push(await folder.sluice('attempts'), await folder.sluice('failed', SYNC))
  const texts = outputs.flatMap(({ stdout, stderr }) => [stdout, stderr])
  for (const entry of await readdir(join(folder.dir, '.sluice'), { recursive: true, withFileTypes: true }))
    if (entry.isFile()) texts.push((await readFile(join(entry.parentPath, entry.name))).toString('latin1'))
  expect(api.requests.length).toBeGreaterThanOrEqual(120)
  expect(texts.join('')).toContain('***')
  expect(stretchesFound(texts, [SECRET])).toEqual([])
})
