/**
 * The author of a project tries to carry a secret of the operator off: to a server of the author's own, in
 * the body of a request, or as the password of a source.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startCountingServer, type CountingServer } from '@sluice/testkit/counting-server'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { ADDED, peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import { bothProfiles, type Opened, type Profile } from './profiles.ts'
import { finished } from './project-folder.ts'

const SECRET = 'operators-secret-42'
const FILES = {
  'people.csv': peopleCsv('1,Ann'),
  'sluice.yaml': peopleYaml({ destination: "headers: { X-Key: 'k ${secret:key}' }" }),
}

/** The tests of one profile. */
function boundSecretsTests(profile: Profile): void {
  secretTests(profile)
  passwordTests(profile)
}

function secretTests(profile: Profile): void {
  describe(`a secret of the operator, ${profile.name}`, () => {
    let evil: ScriptedApi
    let opened: Opened | null = null

    const open = async (env: { readonly [name: string]: string }, files: object = {}): Promise<Opened> => {
      opened = await profile.open({
        files: { ...FILES, ...files },
        env: { API_URL: evil.url, SLUICE_SECRET_KEY: SECRET, ...env },
        here: true,
      })
      return opened
    }
    /** Starts a run that cannot send, and gives what it says once it has said it. */
    const refusal = async ({ project }: Opened): Promise<string> => {
      const child = project.start('run', SYNC)
      let said = ''
      child.stderr?.on('data', (text: Buffer) => {
        said += text.toString()
        if (/_FOR/.test(said)) child.kill('SIGINT')
      })
      const { stdout, stderr } = await finished(child)
      return stdout + stderr
    }

    beforeEach(async () => {
      evil = await startScriptedApi()
    })
    afterEach(async () => {
      await opened?.[Symbol.asyncDispose]()
      opened = null
      await evil[Symbol.asyncDispose]()
    })

    it('does not go to a server that has no grant, and the refusal names variable and server', async () => {
      const of = await open({ SLUICE_SECRET_KEY_FOR: 'api.example.com' })
      const said = (await refusal(of)).replaceAll(/\s+/g, ' ')
      const { host } = new URL(evil.url)
      expect(said).toContain(`may not go to the destination at ${host}`)
      expect(said).toContain(`add "${host} destination" to SLUICE_SECRET_KEY_FOR`)
      expect(evil.requests).toEqual([])
    })

    it('without any grant goes anywhere in a process of one person, which says so, and else nowhere', async () => {
      const of = await open({})
      if (profile.name === 'distributed') {
        expect((await refusal(of)).replaceAll(/\s+/g, ' ')).toContain('set SLUICE_SECRET_KEY_FOR="127.0.0.1:')
        expect(evil.requests).toEqual([])
        return
      }
      const { exitCode, stdout, stderr } = await of.project.sluice('run', SYNC, '--json')
      expect(exitCode).toBe(0)
      expect(JSON.parse(stdout)).toMatchObject({ status: 'success' })
      expect(stderr.match(/notice: The secret `key` may go to any host/g)).toHaveLength(1)
      expect(evil.requests[0]?.headers['x-key']).toBe(`k ${SECRET}`)
    })

    it('goes where its grant says', async () => {
      const of = await open({ SLUICE_SECRET_KEY_FOR: new URL(evil.url).host })
      const { exitCode, stderr } = await of.project.sluice('run', SYNC)
      expect(exitCode).toBe(0)
      expect(stderr).not.toContain('notice: The secret')
      expect(evil.requests[0]?.headers['x-key']).toBe(`k ${SECRET}`)
    })

    it('is no variable that a project may read into a body', async () => {
      const body = ADDED.replace('{"name"', '{"stolen":"${SLUICE_SECRET_KEY:-none}","name"')
      const yaml = peopleYaml({ triggers: `\n  added: { ${body} }` })
      const of = await open({ SLUICE_SECRET_KEY_FOR: '127.0.0.1' }, { 'sluice.yaml': yaml })
      const { exitCode, message, details } = await of.project.error('run', SYNC)
      expect([exitCode, message, JSON.stringify(details)].join()).toContain('write `${secret:key}`')
      expect(JSON.stringify(details)).not.toContain(SECRET)
      expect(evil.requests).toEqual([])
    })
  })
}

function passwordTests(profile: Profile): void {
  describe(`the password of a source, ${profile.name}`, () => {
    let server: CountingServer
    let opened: Opened

    beforeEach(async () => {
      server = await startCountingServer()
      const source = `kind: source\nname: files\ntype: postgres\nurl: postgres://u@127.0.0.1:${server.port}/d\npassword: \${secret:key}`
      const yaml = peopleYaml({ sql: 'select 1 as id' }).replace(
        'kind: source\nname: files\ntype: duckdb\npath: .',
        source,
      )
      opened = await profile.open({
        files: { 'sluice.yaml': yaml },
        env: {
          ...{ API_URL: 'http://127.0.0.1:9', SLUICE_SECRET_KEY: SECRET },
          SLUICE_SECRET_KEY_FOR: 'db.example.com:5432 source',
        },
        here: true,
      })
    })
    afterEach(async () => {
      await opened[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    })

    it('does not go to a server that has no grant: not by run, preview or validate --connect', async () => {
      const { project } = opened
      for (const args of [
        ['run', SYNC],
        ['preview', SYNC],
        ['validate', '--connect'],
      ]) {
        const { exitCode, stdout, stderr } = await project.sluice(...args)
        const said = (stdout + stderr).replaceAll(/\s+/g, ' ')
        expect(said, args.join(' ')).toContain('may not go to the source at 127.0.0.1:')
        expect(said).toContain('to SLUICE_SECRET_KEY_FOR')
        expect(exitCode, args.join(' ')).not.toBe(0)
      }
      expect(server.connections).toBe(0)
    })
  })
}

bothProfiles().forEach(boundSecretsTests)
