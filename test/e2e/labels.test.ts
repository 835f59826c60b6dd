/** The labels of syncs: commands choose syncs by them, and they change nothing that is sent. */
import { randomUUID } from 'node:crypto'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { expect, it } from 'vitest'
import { peopleCsv, peopleYaml } from './people-project.ts'
import { projectFolder } from './project-folder.ts'

const more = (name: string, labels: string): string =>
  `---\nkind: sync\nname: ${name}\nlabels: ${labels}\nmodel: people\ndestination: api\n` +
  `triggers: { added: { method: POST, path: '/${name}/{{ id }}' } }\n`
const project = (labels: string): string =>
  `${peopleYaml({ sync: `labels: ${labels}\nschedule: { every: 1h }` })}${more('leads', '[crm, "eu: west"]')}${more('stock', '[shop]')}`

it('choose the syncs of run, syncs, runs and test, and unknown ones are told with the nearest', async () => {
  await using api = await startScriptedApi()
  const files = { 'project.yaml': project('[crm]'), 'people.csv': peopleCsv('1,Ann') }
  await using folder = await projectFolder({ files, env: { API_URL: api.url }, here: true })
  const ran = await folder.sluice('run', '--label', 'crm', '--json')
  expect(ran.exitCode).toBe(0)
  expect(JSON.parse(ran.stdout)).toMatchObject([{ sync: 'leads' }, { sync: 'people' }])
  expect(JSON.parse((await folder.sluice('run', '--label', 'shop', '--json')).stdout)).toMatchObject([
    { sync: 'stock' },
  ])

  const syncs = await folder.sluice('syncs', '--label', 'eu: west', '--json')
  expect(JSON.parse(syncs.stdout)).toMatchObject({ syncs: [{ name: 'leads', labels: ['crm', 'eu: west'] }] })
  expect((await folder.sluice('syncs')).stdout).toMatch(/LABELS[^]*leads .*crm, eu: west/)
  expect((await folder.sluice('syncs', '--label', 'none')).stdout).toContain('No sync has the label `none`.')
  const runs = JSON.parse((await folder.sluice('runs', '--label', 'shop', '--json')).stdout) as {
    readonly runs: readonly { readonly sync: string }[]
  }
  expect(runs.runs.map(({ sync }) => sync)).toEqual(['stock'])

  expect(await folder.error('run', '--label', 'sho')).toMatchObject({
    exitCode: 2,
    message: 'No sync has the label `sho`: did you mean `shop`?',
  })
  expect((await folder.error('run', 'people', '--label', 'crm')).message).toContain('`--label` chooses')
  expect((await folder.error('test', '--label', 'x')).message).toContain('there are: crm, eu: west, shop.')
  expect((await folder.error('test', '--label', 'shop')).message).toContain('There are no tests of stock')
})

it('change nothing that is sent: a run after an edit of them alone sends nothing', async () => {
  await using api = await startScriptedApi()
  const files = { 'project.yaml': project('[crm]'), 'people.csv': peopleCsv('1,Ann', '2,Bob') }
  await using folder = await projectFolder({ files, env: { API_URL: api.url }, here: true })
  expect((await folder.run('people')).view).toMatchObject({ status: 'success' })
  const sent = api.requests.length
  expect(sent).toBe(2)

  await folder.write('project.yaml', project(`[crm, ${randomUUID()}]`))
  const diff = JSON.parse((await folder.sluice('diff', '--run', '--json')).stdout) as unknown
  expect(diff).toMatchObject({
    changes: expect.arrayContaining([{ kind: 'sync', name: 'people', action: 'update', fields: ['labels'] }]),
  })
  const { view } = await folder.run('people')
  const detected = { detected: 0, requests: 0, attempts: 0 }
  expect(view).toMatchObject({ status: 'success', triggers: { added: detected, changed: detected } })
  await folder.write('project.yaml', project('[]'))
  expect((await folder.run('people')).view).toMatchObject({
    status: 'success',
    triggers: { added: detected },
  })
  expect(api.requests).toHaveLength(sent)
})
