import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { makeFolder } from './make-folder.ts'

let root = ''
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'sluice-folder-'))
})
afterAll(() => {
  rmSync(root, { recursive: true })
})

it('makes a folder with all above it, once', () => {
  for (let times = 0; times < 2; times++) makeFolder(join(root, 'a/b/../c/d'))
  expect(existsSync(join(root, 'a/c/d'))).toBe(true)
  symlinkSync(join(root, 'a'), join(root, 'link'))
  makeFolder(join(root, 'link/e'))
  expect(existsSync(join(root, 'a/e'))).toBe(true)
})

it.each(['/proc/x', '/proc/x/y/z', '/sys/x'])(
  'says that no folder can be made at %s, and does not wait for ever',
  path => {
    expect(() => {
      makeFolder(path)
    }).toThrow(/^E[A-Z]+: /)
  },
)

it('says so if a file is in the way', () => {
  writeFileSync(join(root, 'file'), '')
  expect(() => {
    makeFolder(join(root, 'file'))
  }).toThrow(/EEXIST/)
  expect(() => {
    makeFolder(join(root, 'file', 'x'))
  }).toThrow(/ENOTDIR|EEXIST/)
})
