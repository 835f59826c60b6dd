/**
 * The recipes of OPERATIONS.md for one machine: the units in deploy/systemd are what systemd takes, and the
 * line for cron works with what cron gives a command.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { expect, it } from 'vitest'
import { ensurePrograms } from '../../deploy/local/install.ts'
import { peopleCsv, peopleYaml } from './people-project.ts'
import { projectFolder } from './project-folder.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const UNITS = join(ROOT, 'deploy/systemd')
const COMMAND = '/opt/sluice/node_modules/.bin/sluice'
const SLUICE = fileURLToPath(new URL('../../services/cli/bin/sluice.mjs', import.meta.url))

it('systemd takes the units', async () => {
  const [analyze = ''] = await ensurePrograms([{ command: 'systemd-analyze', debianPackage: 'systemd' }])
  const folder = await mkdtemp(join(tmpdir(), 'sluice-units-'))
  try {
    const units = (await readdir(UNITS)).filter(name => name.includes('@.'))
    expect(units.sort()).toEqual(['sluice-run@.service', 'sluice-run@.timer', 'sluice-up@.service'])
    for (const name of units) {
      const text = await readFile(join(UNITS, name), 'utf8')
      if (name.endsWith('.service')) {
        expect(text).toContain(`ExecStart=${COMMAND} `)
        // On a Node beside an older one, the launcher hands a signal on to the command, which would then get
        // it twice.
        expect(text).toContain('KillMode=mixed')
      }
      // The package is not installed on this machine.
      await writeFile(join(folder, name.replace('@.', '@shop.')), text.replaceAll(COMMAND, '/bin/true'))
    }
    const files = units.map(name => join(folder, name.replace('@.', '@shop.')))
    const { stderr } = await run(analyze, ['verify', ...files])
    expect(stderr.split('\n').filter(line => line.includes(folder))).toEqual([])
    const unit = files.find(file => file.includes('sluice-up')) ?? ''
    await writeFile(unit, (await readFile(unit, 'utf8')).replace('TimeoutStopSec=40', 'TimeoutStopSec=soon'))
    const broken = await run(analyze, ['verify', unit])
    expect(broken.stderr).toContain('soon')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

it('the line for cron runs the syncs with the few variables of cron, and mails only what went wrong', async () => {
  await using api = await startScriptedApi()
  const yaml = peopleYaml().replaceAll('${API_URL}', api.url)
  const files = { 'project.yaml': yaml, 'people.csv': peopleCsv('1,Ann', '2,Bob') }
  await using project = await projectFolder({ files, env: {} })
  const page = await readFile(join(ROOT, 'docs/OPERATIONS.md'), 'utf8')
  const line = /^\*\/15 \* \* \* \* (.+)$/m.exec(page)?.[1] ?? ''
  // cron takes a % for the end of the command.
  expect(line).not.toContain('%')
  const command = line
    .replaceAll('/srv/shop', project.dir)
    .replaceAll(COMMAND, `${process.execPath} ${SLUICE}`)
  const env = { HOME: project.dir, LOGNAME: 'sluice', PATH: '/usr/bin:/bin', SHELL: '/bin/sh' }
  const byCron = async (): Promise<string> => {
    const { stdout, stderr } = await run('/bin/sh', ['-c', command], { cwd: '/', env })
    return stdout + stderr
  }
  expect(await byCron()).toBe('')
  expect(api.requests).toHaveLength(2)
  expect(await byCron()).toBe('')
  expect(api.requests).toHaveLength(2)

  await rm(join(project.dir, 'people.csv'))
  const mail = await byCron()
  expect(mail).toContain('sluice run ended with 2: ')
  expect(mail).toContain('people.csv')
})
