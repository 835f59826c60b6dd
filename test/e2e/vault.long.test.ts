/** Secrets that `sluice secret set` keeps, in a run, in a preview, and in what everybody may read. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EncryptionKeys } from '@sluice/secrets/vault/encryption-keys'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import { type Opened, type Profile, bothProfiles } from './profiles.ts'

const SECRET = 'kept-in-the-vault-47'
const ANOTHER = 'the-next-one-in-the-vault'
const FILES = {
  'people.csv': peopleCsv('1,Ann'),
  'sluice.yaml': peopleYaml({ destination: "headers: { X-Key: 'k ${secret:crm-key}' }" }),
}

/** The tests of one profile. */
function vaultTests(profile: Profile): void {
  describe(`a secret of the vault, ${profile.name}`, () => {
    let api: ScriptedApi
    let opened: Opened
    const key = EncryptionKeys.generate()

    beforeEach(async () => {
      api = await startScriptedApi()
      const keys: { [name: string]: string } = {}
      if (profile.name === 'distributed') keys['SLUICE_ENCRYPTION_KEY'] = key
      opened = await profile.open({ files: FILES, env: { API_URL: api.url, ...keys }, here: true })
    })
    afterEach(async () => {
      await opened[Symbol.asyncDispose]()
      await api[Symbol.asyncDispose]()
    })

    it('is used by runs, also a new value by processes at work, and stands nowhere', async () => {
      const { project, stored } = opened
      const { host } = new URL(api.url)
      const set = await project.sluiceWith(`${SECRET}\n`, 'secret', 'set', 'crm-key', '--for', host)
      expect(set, set.stderr).toMatchObject({ exitCode: 0 })
      const preview = await project.sluice('preview', SYNC, '--json')
      expect(preview, preview.stderr).toMatchObject({ exitCode: 0, stderr: '' })
      const first = await project.run(SYNC)
      expect(first, JSON.stringify(first.view)).toMatchObject({ exitCode: 0 })
      // Without --for, the grant stays.
      const again = await project.sluiceWith(ANOTHER, 'secret', 'set', 'CRM_KEY', '--json')
      expect(JSON.parse(again.stdout)).toEqual({ name: 'crm-key', for: host, replaced: true })
      await project.write('people.csv', peopleCsv('1,Anna'))
      expect((await project.run(SYNC)).exitCode).toBe(0)
      expect(api.requests.map(({ headers }) => headers['x-key'])).toEqual([`k ${SECRET}`, `k ${ANOTHER}`])
      const list = await project.sluice('secret', 'list', '--json')
      expect(JSON.parse(list.stdout)).toMatchObject({
        secrets: [{ name: 'crm-key', kind: 'secret', for: host }],
      })
      const table = await project.sluice('secret', 'list')
      const all = [
        ...[preview, set, again, list, table].map(({ stdout, stderr }) => stdout + stderr),
        JSON.stringify(await project.attempts()),
        await stored(SYNC),
        opened.logs(),
      ].join()
      for (const secret of [SECRET, ANOTHER])
        for (const encoding of ['utf8', 'base64', 'hex'] as const)
          expect(all).not.toContain(Buffer.from(secret).toString(encoding).slice(0, -3))
      if (profile.name === 'embedded')
        expect(statSync(join(project.dir, '.sluice/key')).mode & 0o777).toBe(0o600)
    })

    it('goes only where its grant says, and is missing once it is removed', async () => {
      const { project } = opened
      await project.sluiceWith(SECRET, 'secret', 'set', 'crm-key', '--for', 'api.example.com')
      if (profile.name === 'embedded') {
        const refused = await project.error('run', SYNC)
        expect(refused).toMatchObject({ exitCode: 2, message: expect.stringContaining('may not go to') })
        expect((await project.sluice('secret', 'remove', 'crm-key')).exitCode).toBe(0)
        const missing = await project.error('run', SYNC)
        expect(missing).toMatchObject({ message: expect.stringContaining('sluice secret set crm-key') })
      }
      expect(await project.error('secret', 'remove', 'nothing')).toMatchObject({ code: 'not-found' })
      expect(await project.error('secret', 'set', 'a', 'value')).toMatchObject({ code: 'usage' })
      expect(api.requests).toEqual([])
    })
  })
}

bothProfiles().forEach(vaultTests)
