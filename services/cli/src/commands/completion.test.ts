/** The scripts of `sluice completion` in the shells themselves, as far as this machine has them. */
import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { COMPLETION_SCRIPTS, SHELLS } from './completion.ts'

const run = promisify(execFile)
const SLUICE = fileURLToPath(new URL('../../../../../node_modules/.bin/sluice', import.meta.url))
const PROJECT = `
{ kind: source, name: files, type: duckdb, path: . }
---
{ kind: model, name: people, source: files, sql: select 1 as id, primaryKey: id }
---
{ kind: destination, name: api, baseUrl: 'http://127.0.0.1:1' }
---
{ kind: sync, name: people, model: people, destination: api, triggers: { added: { method: POST, path: /p } } }
`

/** For each shell: how it is asked what follows the words, of which the last is being typed. */
const ASKED: { readonly [S in (typeof SHELLS)[number]]: (words: readonly string[]) => string } = {
  bash: words =>
    `COMP_WORDS=(sluice ${quoted(words)}); COMP_CWORD=${words.length}; _sluice; printf '%s\\n' "\${COMPREPLY[@]}"`,
  zsh: words => `words=(sluice ${quoted(words)}); CURRENT=${words.length + 1}; _sluice`,
  fish: words => `complete -C 'sluice ${words.join(' ')}'`,
}
/** Stands for what zsh loads where somebody types. */
const ZSH = 'compdef() { : }; compadd() { print -l -- ${(P)2} }; _files() { : }'

function quoted(words: readonly string[]): string {
  return words.map(word => `'${word}'`).join(' ')
}

const INSTALLED = SHELLS.filter(shell => {
  try {
    execFileSync(shell, ['-c', 'true'])
    return true
  } catch {
    return false
  }
})

let dir = ''
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-completion-'))
  await writeFile(join(dir, 'sluice.yaml'), PROJECT)
})
afterAll(() => rm(dir, { recursive: true, force: true }))

describe.each(INSTALLED)('completion in %s', shell => {
  it('offers commands, options and the names of the project', async () => {
    const asked = async (...lines: readonly (readonly string[])[]) => {
      const env = { ...process.env, PATH: `${dirname(SLUICE)}:${process.env['PATH'] ?? ''}` }
      const script = [
        ...(shell === 'zsh' ? [ZSH] : []),
        COMPLETION_SCRIPTS[shell],
        ...lines.map(ASKED[shell]),
      ]
      const { stdout } = await run(shell, ['-c', script.join('\n')], { cwd: dir, env })
      return stdout.split('\n').filter(line => line !== '')
    }
    expect(await asked(['preview', 'p'], ['run', '--w'])).toEqual(['people', '--wait'])
  }, 60_000)
})

it('every script names the command that it completes', () => {
  for (const script of Object.values(COMPLETION_SCRIPTS)) expect(script).toMatch(/^# Completion of sluice/m)
})
