import { execFile } from 'node:child_process'
import { chmod, chown, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { TEST_CERTIFICATE } from '@sluice/testkit/test-certificate'
import { ensurePrograms } from './install.ts'
import { freePorts } from './ports.ts'
import { exchange } from './probes.ts'
import { runService, withNewPorts, type LocalService } from './service.ts'
import type { Workspace } from './workspace.ts'

const run = promisify(execFile)

/** Options for a log of changes, row by row. */
export const MARIADB_OPTIONS = ['--log-bin', '--binlog-format=ROW', '--server-id=1']

/**
 * Options for a log that many tests follow at once. Each stream takes a slot, and a second one to compare.
 */
export const POSTGRES_OPTIONS = [
  'wal_level=logical',
  'max_replication_slots=100',
  'max_wal_senders=100',
  'max_connections=300',
].flatMap(setting => ['-c', setting])

interface User {
  readonly uid: number
  readonly gid: number
}

/**
 * The user that runs a database server. The servers refuse to run as root; any other user runs them itself.
 */
async function serverUser(name: string): Promise<User | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const line = (await readFile('/etc/passwd', 'utf8')).split('\n').find(entry => entry.startsWith(`${name}:`))
  const [, , uid, gid] = (line ?? '').split(':')
  if (uid === undefined || gid === undefined) throw new Error(`no user ${name} on this machine`)
  return { uid: Number(uid), gid: Number(gid) }
}

async function ownedFolder(workspace: Workspace, name: string, user: User | undefined): Promise<string> {
  const folder = workspace.dataFolder(name)
  if (user !== undefined) await chown(folder, user.uid, user.gid)
  return folder
}

/** Starts PostgreSQL with logical decoding on; its address is the URL of a superuser without password. */
export async function startPostgres(workspace: Workspace): Promise<LocalService> {
  const debianPackage = 'postgresql'
  const [initdb = '', postgres = '', ready = ''] = await ensurePrograms([
    { command: 'initdb', debianPackage },
    { command: 'postgres', debianPackage },
    { command: 'pg_isready', debianPackage },
  ])
  const user = await serverUser('postgres')
  return withNewPorts(async () => {
    const [port = 0] = await freePorts(1)
    const folder = await ownedFolder(workspace, `postgres-${port}`, user)
    const data = join(folder, 'data')
    const as = user === undefined ? {} : { uid: user.uid, gid: user.gid }
    await run(initdb, ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync'], {
      cwd: folder,
      ...as,
    })
    const place = ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', folder]
    return runService(workspace, {
      name: 'postgres',
      address: `postgres://postgres@127.0.0.1:${port}/postgres`,
      command: [postgres, ...place, ...POSTGRES_OPTIONS, '-c', 'fsync=off'],
      options: { user },
      answers: () =>
        run(ready, ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres']).then(
          () => true,
          () => false,
        ),
      startTimeoutMs: 60_000,
    })
  })
}

/**
 * Writes the certificate of MariaDB, which accepts none while it runs. Returns the server options that name
 * its files, with the path under which the server sees the folder.
 */
export async function writeCertificate(folder: string, seenAs = folder): Promise<string[]> {
  const files = { cert: 'server-cert.pem', key: 'server-key.pem' }
  for (const part of ['cert', 'key'] as const) {
    await writeFile(join(folder, files[part]), TEST_CERTIFICATE[part])
    // The server may run as another user. The key protects nothing outside of tests.
    await chmod(join(folder, files[part]), 0o644)
  }
  return [`--ssl-cert=${seenAs}/${files.cert}`, `--ssl-key=${seenAs}/${files.key}`]
}

/**
 * Starts MariaDB with a row binlog; its address is the URL of the user `sluice`, who may do everything, on
 * the database `sluice`.
 */
export async function startMariadb(workspace: Workspace): Promise<LocalService> {
  const debianPackage = 'mariadb-server'
  const [install = '', mariadbd = '', client = ''] = await ensurePrograms([
    { command: 'mariadb-install-db', debianPackage },
    { command: 'mariadbd', debianPackage },
    { command: 'mariadb', debianPackage },
  ])
  const user = await serverUser('mysql')
  return withNewPorts(async () => {
    const [port = 0] = await freePorts(1)
    const folder = await ownedFolder(workspace, `mariadb-${port}`, user)
    const data = join(folder, 'data')
    const socket = join(folder, 'socket')
    const as = user === undefined ? {} : { uid: user.uid, gid: user.gid }
    const fresh = ['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal']
    await run(install, [...fresh, '--skip-test-db'], { cwd: folder, ...as })
    const place = [`--datadir=${data}`, `--port=${port}`, `--socket=${socket}`, '--bind-address=127.0.0.1']
    const tls = await writeCertificate(folder)
    const service = await runService(workspace, {
      name: 'mariadb',
      address: `mysql://sluice:sluice@127.0.0.1:${port}/sluice`,
      command: [mariadbd, '--no-defaults', ...place, ...tls, ...MARIADB_OPTIONS],
      options: { user },
      answers: async () => (await exchange(port, null)).length > 0,
      startTimeoutMs: 60_000,
    })
    const sql = `create database if not exists sluice;
      create user if not exists sluice@'127.0.0.1' identified by 'sluice';
      create user if not exists sluice@'localhost' identified by 'sluice';
      grant all on *.* to sluice@'127.0.0.1' with grant option;
      grant all on *.* to sluice@'localhost' with grant option;`
    for (let left = 50; ; left -= 1) {
      try {
        await run(client, ['--no-defaults', '-u', 'root', `--socket=${socket}`, '-e', sql])
        return service
      } catch (error) {
        if (left === 0) throw error
        await delay(100)
      }
    }
  })
}
