/**
 * A full disk, for each file that a run writes: the model's rows, the delivered state, the embedded log. The
 * run fails and names the file, and nothing is lost. Once there is space again, the next run sends exactly
 * the rows that are due.
 *
 * A size limit on files acts like a full disk on any machine. Where the test can mount a small disk, it also
 * uses that.
 */
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { noteProject } from '@sluice/cli/folder/folder-owner'
import { freshSocketPath } from '@sluice/console/socket/socket-path'
import { makeFolder } from '@sluice/runtime/make-folder'
import { environmentOrFileKeys } from '@sluice/secrets/vault/key-file'
import { SYNC } from '../e2e/people-project.ts'
import { projectFolder } from '../e2e/project-folder.ts'
import { execute, mount, project, receiving, runLimited } from './full-disk.ts'

const received = receiving()

describe('an embedded run on a disk that is full', () => {
  it('ends with a message if the log cannot grow, and the next run sends the rest', async () => {
    await using folder = await projectFolder({
      files: { 'project.yaml': project(0, 15_000) },
      env: { API_URL: received.url },
    })
    const full = await runLimited(folder)
    expect(full).toMatchObject({ exitCode: 1, printed: { error: { code: 'disk' } } })
    expect(full.printed.error.message).toContain(`${folder.dir}/.sluice/log.db cannot be`)
    expect(await folder.run(SYNC)).toMatchObject({ exitCode: 0, view: { status: 'success' } })
    received.expectSent(15_000)
  })
})

describe('an embedded run whose limits have no room', () => {
  it('ends with a message, and goes on once there is room', async ({ skip }) => {
    await using folder = await projectFolder({
      files: { 'project.yaml': project(0, 300) },
      env: { API_URL: received.url },
    })
    await using small = await projectFolder({ env: {} })
    if (!(await mount('-t', 'tmpfs', '-o', 'size=48k', 'tmpfs', small.dir)))
      skip('no disk can be mounted here')
    try {
      await mkdir(join(folder.dir, '.sluice'))
      await symlink(join(small.dir, 'limits.db'), join(folder.dir, '.sluice/limits.db'))
      const { exitCode, stdout } = await folder.sluice('run', SYNC, '--json')
      expect(exitCode).toBe(1)
      expect(stdout).toContain('.sluice/limits.db: database or disk is full. Make room on that disk')
      await mount('-o', 'remount,size=10m', small.dir)
      expect(await folder.run(SYNC)).toMatchObject({ exitCode: 0, view: { status: 'success' } })
      received.expectSent(300)
    } finally {
      await execute('umount', ['-l', small.dir])
    }
  })
})

/** The files of a home beside its databases, as they are when it is made. */
const SMALL_FILES = [
  { file: 'project', write: (home: string) => noteProject(home, { project: 'people' }) },
  { file: 'key', write: (home: string) => environmentOrFileKeys({}, join(home, 'key')).needed() },
  { file: 'api.sock-path', write: (home: string) => freshSocketPath(home).remove() },
]
/** Room for no byte beside what fills it, and for no file. */
const FULL = ['size=4k', 'size=8k,nr_inodes=3']

describe.each(FULL)('a home without room: %s', options => {
  it('is named with what cannot be written, and nothing is left of that', async ({ skip }) => {
    await using folder = await projectFolder({ env: {}, name: 'n'.repeat(100) })
    const home = join(folder.dir, '.sluice')
    await mkdir(home)
    if (!(await mount('-t', 'tmpfs', '-o', options, 'tmpfs', home))) skip('no disk can be mounted here')
    try {
      for (const name of options === FULL[0] ? ['filler'] : ['filler', 'second'])
        await writeFile(join(home, name), 'x'.repeat(4096))
      const before = await readdir(home)
      for (const { file, write } of SMALL_FILES)
        expect(() => write(home), file).toThrow(
          expect.objectContaining({
            code: 'disk',
            message: expect.stringMatching(
              new RegExp(
                `^${join(home, file)} cannot be written: ENOSPC: .*\\. Make room on that disk and run again\\.$`,
              ),
            ),
          }),
        )
      if (options !== FULL[0])
        expect(() => makeFolder(join(home, 'tmp'))).toThrow(
          `The folder ${home}/tmp cannot be made: ENOSPC: no space left on device, mkdir '${home}/tmp'. Make room on that disk`,
        )
      expect(await readdir(home)).toEqual(before)

      await mount('-o', 'remount,size=1m,nr_inodes=100', home)
      for (const { write } of SMALL_FILES) write(home)
      expect(environmentOrFileKeys({}, join(home, 'key')).known()).not.toBeNull()
    } finally {
      await execute('umount', ['-l', home])
    }
  })
})
