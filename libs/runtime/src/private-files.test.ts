/** Another user of the machine looks for rows of customers. */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, it } from 'vitest'

const MODULE = fileURLToPath(new URL('private-files.ts', import.meta.url))
let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sluice-private-'))
  chmodSync(root, 0o755)
})
afterEach(() => rmSync(root, { recursive: true }))

/** In a process of its own, whose mask it changes, and with the usual one before. */
function prepared(): string[] {
  const script = `
    process.umask(0o022)
    const { makePrivateFolders } = await import(${JSON.stringify(MODULE)})
    const { writeFileSync } = await import('node:fs')
    const told = []
    makePrivateFolders('data', { below: ['state', 'tmp'], tell: text => told.push(text) })
    writeFileSync('data/state/new.duckdb', 'rows')
    console.log(JSON.stringify(told))`
  const flags = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script]
  const told: string[] = JSON.parse(execFileSync(process.execPath, flags, { cwd: root, encoding: 'utf8' }))
  return told
}

const open = (): string[] =>
  [
    'data',
    ...readdirSync(join(root, 'data'), { recursive: true, encoding: 'utf8' }).map(name => `data/${name}`),
  ]
    .filter(name => !lstatSync(join(root, name)).isSymbolicLink())
    .filter(name => (lstatSync(join(root, name)).mode & 0o077) !== 0)

it('nothing that is made is open to them', () => {
  expect(prepared()).toEqual([])
  expect(open()).toEqual([])
  expect(lstatSync(join(root, 'data/state/new.duckdb')).mode & 0o777).toBe(0o600)
})

it('what an earlier version left open is closed, which is told once, and links are left alone', () => {
  mkdirSync(join(root, 'data/state'), { recursive: true })
  writeFileSync(join(root, 'data/log.db'), 'rows', { mode: 0o644 })
  writeFileSync(join(root, 'outside'), 'x', { mode: 0o644 })
  symlinkSync(join(root, 'outside'), join(root, 'data/link'))
  expect(prepared()).toEqual([
    'data and 2 more below it were open to other users of this machine. Now only its owner may read it.',
  ])
  expect(open()).toEqual([])
  expect(lstatSync(join(root, 'outside')).mode & 0o777).toBe(0o644)
  expect(prepared()).toEqual([])
})
