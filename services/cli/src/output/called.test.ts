import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asTyped, calledCommand, inShell, withTyped } from './called.ts'

let root = ''
let binary = ''
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'sluice-called-'))
  binary = join(root, 'node_modules', '.bin', 'sluice')
  await mkdir(join(root, 'node_modules', '.bin'), { recursive: true })
  await writeFile(binary, '')
  await chmod(binary, 0o755)
})
afterAll(async () => {
  await rm(root, { recursive: true, force: true })
})

describe('the command as it was called', () => {
  it('is npx where npx runs it, and not where npx runs something else', () => {
    const npx = { npm_lifecycle_event: 'npx', _: '/usr/bin/npx' }
    for (const script of ['sluice', `'sluice' --dir x`, '"sluice"'])
      expect(calledCommand({ ...npx, npm_lifecycle_script: script }, root)).toBe('npx sluice')
    expect(calledCommand({ ...npx, npm_lifecycle_script: 'vitest' }, root)).toBe('sluice')
  })

  it('is the path that was typed, as short as it can be', () => {
    expect(calledCommand({ _: binary }, root)).toBe('node_modules/.bin/sluice')
    expect(calledCommand({ _: '../node_modules/.bin/sluice' }, join(root, 'demo'))).toBe(
      '../node_modules/.bin/sluice',
    )
  })

  it('is sluice where the shell finds it, or where nobody says', () => {
    expect(calledCommand({ _: binary, PATH: `/bin:${join(root, 'node_modules', '.bin')}` }, root)).toBe(
      'sluice',
    )
    expect(calledCommand({}, root)).toBe('sluice')
    expect(calledCommand({ _: '/gone/sluice' }, root)).toBe('sluice')
    expect(calledCommand({ _: '/usr/bin/env' }, root)).toBe('sluice')
  })
})

describe('a hint', () => {
  const called = { command: 'npx sluice', dir: "our shop's" }

  it('repeats the command and the folder, ready for a shell', () => {
    expect(asTyped('sluice runs show X', called)).toBe(`npx sluice --dir 'our shop'\\''s' runs show X`)
    expect(asTyped('sluice runs', { command: 'sluice', dir: null })).toBe('sluice runs')
    expect(inShell('../a-b/c.d')).toBe('../a-b/c.d')
  })

  it('names no folder for a command that takes none', () => {
    expect(asTyped('sluice init DIR', called)).toBe('npx sluice init DIR')
  })

  it('is found in backticks only', () => {
    const text = withTyped('sluice up, `sluice run a` and `other run`', { command: 's', dir: 'x' })
    expect(text).toBe('sluice up, `s --dir x run a` and `other run`')
  })
})
