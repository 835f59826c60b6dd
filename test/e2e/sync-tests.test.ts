/** `sluice test`: what it runs, how it shows what differs, and what it writes. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCli } from '@sluice/cli/run-cli'
import { expect, it } from 'vitest'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

const PROJECT = `
kind: source
name: files
type: duckdb
path: .
---
kind: model
name: people
source: files
sql: select * from 'no-such-file.csv'
primaryKey: id
---
kind: destination
name: crm
baseUrl: https://crm.example/v1
auth: { bearer: '\${secret:crm-token}' }
limits: { rate: { requests: 1, per: hour } }
---
kind: sync
name: people
model: people
destination: crm
errors: { retry: now }
triggers:
  added:
    method: POST
    path: /people
    body: { json: '{"id": {{ row.id }}, "name": {{ row.name | json }}}' }
    capture: { crm: $.id }
  changed: { method: PUT, path: '/people/{{ captured.crm }}', body: { json: '{"name": {{ row.name | json }}}' } }
  removed: { method: DELETE, path: '/people/{{ row.id }}' }
`

async function projectWith(tests: string): Promise<ProjectFolder> {
  return await projectFolder({
    files: { 'project.yaml': PROJECT, 'people.test.yaml': tests },
    env: {},
    here: true,
  })
}

it('passes cases about new, changed and removed rows, answers, secrets and captured values', async () => {
  await using project = await projectWith(`
sync: people
cases:
  - name: a new row is sent with the token
    rows: [{ id: 12345678901234567890, name: Ann }]
    requests:
      - trigger: added
        method: POST
        path: /people
        headers: { authorization: Bearer crm-token }
        json: { id: 12345678901234567890, name: Ann }
  - name: a request without an answer is sent again
    rows: [{ id: 1, name: Ann }]
    answers: [{ status: 503 }, { fails: timeout }, { status: 201, json: { id: c1 } }]
    requests: [{ method: POST }, { method: POST }, { method: POST }]
    status: success
  - name: a changed row uses the value that was captured, and an unchanged one is not sent
    before: [{ id: 1, name: Ann }, { id: 2, name: Bob }]
    beforeAnswers: [{ json: { id: c1 } }, { json: { id: c2 } }]
    rows: [{ id: 1, name: Ann }, { id: 2, name: Bo }]
    requests: [{ trigger: changed, method: PUT, path: /people/c2, json: { name: Bo } }]
  - name: a removed row is deleted
    before: [{ id: 1, name: Ann }]
    rows: []
    requests: [{ trigger: removed, method: DELETE, path: /people/1 }]
  - name: rows that share a key are not sent
    rows: [{ id: 1, name: Ann }, { id: 1, name: Bob }]
    status: warning
    requests: []
`)
  const { exitCode, stdout, stderr } = await project.sluice('test')
  expect(stdout, stderr).toContain('5 passed')
  expect(exitCode).toBe(0)
  expect(await readdir(project.dir)).not.toContain('.sluice')
})

const WRONG = `# The names are those of the CRM.
sync: people
cases:
  - name: two rows
    rows: [{ id: 1, name: Ann }, { id: 2, name: Bob }]
    requests:
      - { trigger: added, method: PUT, path: /people, json: { id: 1, name: Anna } }
`

it('shows what differs, and writes it into the file if asked', async () => {
  await using project = await projectWith(WRONG)
  const failed = await project.sluice('test', '--junit', 'report.xml')
  expect(failed.exitCode).toBe(1)
  for (const line of ['request 1 of 2: method', '- PUT', '+ POST', '- name: Anna', '+ name: Ann'])
    expect(failed.stdout).toContain(line)
  expect(failed.stdout).toMatch(/✗ two rows .*people\.test\.yaml:4[^]*request 2 was not expected[^]*1 failed/)
  const report = await project.read('report.xml')
  expect(report).toContain('<testsuite name="people.test.yaml" tests="1" failures="1">')
  expect(report).toContain('<failure message="request 1 of 2: method">')
  const json = await project.sluice('test', '--json')
  expect(JSON.parse(json.stdout)).toMatchObject({
    passed: 0,
    failed: 1,
    tests: [{ name: 'two rows', line: 4 }],
  })

  const updated = await project.sluice('test', '--update')
  expect(updated.exitCode).toBe(0)
  expect(updated.stdout).toMatch(/✓ two rows .*written to people\.test\.yaml:4\n[^]*\n0 passed, 1 written /)
  const written = await project.read('people.test.yaml')
  expect(written).toContain('# The names are those of the CRM.')
  expect(written).toContain('name: Bob')
  expect((await project.sluice('test')).stdout).toContain('1 passed')
})

it('writes the report below the folder that the command was called in', async () => {
  await using project = await projectWith(WRONG)
  const cwd = await mkdtemp(join(tmpdir(), 'sluice-called-'))
  try {
    const output = { write: () => true }
    const argv = ['test', '--dir', project.dir, '--junit', 'report.xml']
    const { signal } = new AbortController()
    expect(await runCli({ argv, cwd, env: {}, stdout: output, stderr: output, signal })).toBe(1)
    expect(await readdir(cwd)).toEqual(['report.xml'])
  } finally {
    await rm(cwd, { recursive: true, force: true })
  }
})

it('names the place of a mistake in a test, and of a sync that is not there', async () => {
  await using project = await projectWith(`sync: people\ncases:\n  - name: x\n    row: []\n    rows: {}\n`)
  const wrong = await project.error('test')
  expect(wrong.exitCode).toBe(2)
  expect(wrong.details).toMatchObject([
    { file: 'people.test.yaml', line: 5, field: 'cases[0].rows', message: 'wanted a list of rows' },
    { file: 'people.test.yaml', line: 4, message: '`row` is not a field here' },
  ])
  await project.write('people.test.yaml', `sync: peple\ncases: [{ name: x, rows: [] }]\n`)
  const unknown = await project.error('test')
  expect(unknown.details[0]?.message).toContain('did you mean `people`?')
  expect((await project.error('test', 'peple')).message).toContain('did you mean `people`?')
})

it('says how to begin where there are no tests', async () => {
  await using project = await projectFolder({ files: { 'project.yaml': PROJECT }, env: {}, here: true })
  const { exitCode, message } = await project.error('test')
  expect(exitCode).toBe(2)
  expect(message).toContain('The project has no tests: write a file such as `customers.test.yaml`')
})

const EXAMPLES = fileURLToPath(new URL('../../docs/examples', import.meta.url))
/** The project of this example names files that its user has to add. */
const CERTIFICATES = { 'certificates/partner-ca.pem': 'x', 'certificates/sluice.pem': 'x' }

it('passes for the tests of all examples', async () => {
  const examples = (await readdir(EXAMPLES, { withFileTypes: true })).filter(entry => entry.isDirectory())
  expect(examples.length).toBeGreaterThanOrEqual(8)
  for (const { name } of examples) {
    const files = name === 'soap' ? CERTIFICATES : {}
    await using project = await projectFolder({ from: `docs/examples/${name}`, files, env: {}, here: true })
    const { exitCode, stdout, stderr } = await project.sluice('test')
    expect(exitCode, `${name}: ${stdout}${stderr}`).toBe(0)
    expect(stdout).toContain('3 passed')
  }
})
