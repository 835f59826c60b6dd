/** Exit codes and JSON of every command in a folder. */
import { expect, it } from 'vitest'
import { COMMANDS } from '@sluice/cli/commands'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { CASES, playCases } from './exit-codes.ts'
import { peopleCsv, peopleYaml } from './people-project.ts'
import { projectFolder } from './project-folder.ts'

it('every command in a folder exits and prints as the table says', async () => {
  await using api = await startScriptedApi()
  api.on({ url: '/people/2' }, { status: 422, body: '{"error":"no"}' })
  await using project = await projectFolder({
    files: { 'project.yaml': peopleYaml(), 'people.csv': peopleCsv('1,Ann', '2,Bob') },
    env: { API_URL: api.url },
    here: true,
  })
  await playCases('a folder', (words, stdin) => project.sluiceWith(stdin, ...words))
})

/** They serve, write a folder, or print text for people alone. */
const ELSEWHERE = ['up', 'init', 'help']

it('the table has every command', () => {
  const named = COMMANDS.map(({ name }) => name).filter(name => !ELSEWHERE.includes(name))
  const missing = named.filter(name => !CASES.some(({ command }) => `${command} `.startsWith(`${name} `)))
  expect(missing).toEqual([])
})
