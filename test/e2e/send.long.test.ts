/** `sluice send` in a folder. */
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runCli } from '@sluice/cli/run-cli'
import { attemptView } from '@sluice/contracts/api'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { peopleCsv, peopleYaml } from './people-project.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

const SECRET = 'the-token-of-the-api'

let api: ScriptedApi
let project: ProjectFolder
let env: { readonly [name: string]: string }
beforeEach(async () => {
  api = await startScriptedApi()
  env = { API_URL: api.url, SLUICE_SECRET_TOKEN: SECRET }
  const files = {
    'project.yaml': peopleYaml({ destination: 'auth: { bearer: "${secret:token}" }' }),
    'people.csv': peopleCsv('1,Ann', '2,Bob'),
  }
  project = await projectFolder({ files, env, here: true })
})
afterEach(async () => {
  await project[Symbol.asyncDispose]()
  await api[Symbol.asyncDispose]()
})

/** On a terminal, where somebody types. */
async function typed(answer: string, ...args: readonly string[]) {
  let out = ''
  let err = ''
  const stdin = Object.assign(Readable.from([answer]), { isTTY: true })
  const exitCode = await runCli({
    argv: [...args, '--dir', project.dir],
    ...{ cwd: project.dir, env, stdin, signal: new AbortController().signal },
    stdout: { write: text => (out += text) },
    stderr: { write: text => (err += text) },
  })
  return { exitCode, out, err }
}

describe('sluice send', () => {
  it('shows the request, asks, sends it, and shows the answer', async () => {
    const asked = ['send', 'people', '--key', '2', '--trigger', 'changed'] as const
    const no = await typed('n\n', ...asked)
    expect(no).toMatchObject({ exitCode: 0, err: expect.stringContaining('Send this request? [y/N]') })
    expect(no.out).toContain(`PUT ${api.url}/people/2  changed · 2 · sample\n`)
    expect(no.out).toContain('authorization: ***\n')
    expect(no.out).toMatch(/Nothing was sent\.\n$/)
    expect(api.requests).toEqual([])

    api.on({}, { status: 422, body: `{"error":"bad name","seen":"${SECRET}"}` })
    const yes = await typed('y\n', ...asked)
    expect(yes.exitCode).toBe(3)
    expect(yes.out).toMatch(/test [0-9A-Z]{26}, which changed no state · people changed/)
    expect(yes.out).toContain('{"error":"bad name","seen":"***"}')
    expect(api.requests).toMatchObject([
      { method: 'PUT', url: '/people/2', headers: { authorization: `Bearer ${SECRET}` } },
    ])
    expect(await project.failed('people')).toEqual([])
    expect(await project.runs()).toEqual([])
    const listed = await project.sluice('attempts', '--key', '2')
    expect(listed.stdout).toMatch(/people +changed +test +422 +rejected/)
  })

  it('prints the attempt as JSON for scripts, which have to say that they are sure', async () => {
    const asked = ['send', 'people', '--key', '1', '--trigger', 'removed'] as const
    const unsure = await project.error(...asked)
    expect(unsure).toMatchObject({ exitCode: 2, code: 'usage', message: expect.stringContaining('`--yes`') })
    expect(api.requests).toEqual([])
    const { exitCode, stdout } = await project.sluice(...asked, '--yes', '--json')
    const attempt = attemptView.parse(JSON.parse(stdout))
    expect([exitCode, attempt.outcome, attempt.test]).toEqual([0, 'delivered', true])
    expect(api.requests).toMatchObject([{ method: 'DELETE', url: '/people/1' }])
    expect(await project.attempts('--run', attempt.run)).toEqual([attempt])
    expect(await project.attempts('--run', attempt.run.toLowerCase(), '--sync', 'people')).toEqual([attempt])
    // The run sends both rows, as if nothing had been tried out.
    expect((await project.run('people')).view.triggers.added).toMatchObject({ detected: 2, delivered: 2 })
  })

  it('says what is missing', async () => {
    const wrong = async (...args: readonly string[]) => {
      const { exitCode, message } = await project.error('send', ...args, '--yes')
      return [exitCode, message] as const
    }
    expect(await wrong('people')).toEqual([2, expect.stringContaining('wants `--key KEY`: the row')])
    expect(await wrong('people', '--key', '1')).toEqual([2, expect.stringContaining('`--trigger TRIGGER`')])
    const none = await wrong('people', '--key', '7', '--trigger', 'added')
    expect(none).toEqual([2, 'The model of `people` has no row with key `7`.'])
    await project.write(
      'project.yaml',
      peopleYaml({ triggers: "{ added: { method: GET, path: '/{{ name }}' } }" }),
    )
    await project.write('people.csv', peopleCsv('1,'))
    const unfit = await wrong('people', '--key', '1', '--trigger', 'added')
    expect(unfit).toEqual([2, expect.stringContaining('The row cannot become a request: path:')])
    expect(api.requests).toEqual([])
  })
})
