import { describe, expect, it } from 'vitest'
import { COMMANDS } from '../commands.ts'
import { completeWords, type Named } from './complete-words.ts'

const NAMES: { readonly [N in Named]: readonly string[] } = {
  SYNC: ['orders', 'people'],
  DESTINATION: ['api'],
  ENV: ['dev', 'prod'],
}
const completed = (...words: readonly string[]): Promise<readonly string[]> =>
  completeWords(words, COMMANDS, what => Promise.resolve(NAMES[what]))

describe('completion', () => {
  it.each([
    [['pre'], ['preview']],
    [['re'], ['retry', 'resync', 'replay', 'reset', 'restore']],
    [
      ['runs', ''],
      ['show', 'orders', 'people'],
    ],
    [['runs', 's'], ['show']],
    [
      ['secret', ''],
      ['set', 'list', 'remove', 'reseal'],
    ],
    [
      ['preview', ''],
      ['orders', 'people'],
    ],
    [['preview', 'people', ''], []],
    [['run', 'people', 'o'], ['orders']],
    [['--dir', 'x', 'preview', 'p'], ['people']],
    [
      ['preview', '--trigger', ''],
      ['removed', 'changed', 'added'],
    ],
    [['preview', '--key', ''], []],
    [['preview', '--key', '4', 'p'], ['people']],
    [['attempts', '--sync', 'o'], ['orders']],
    [['run', '--env', 'p'], ['prod']],
    [['--env', 'prod', 'run', 'p'], ['people']],
    [['auth', ''], ['api']],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [['help', 'vers'], ['version']],
    [['run', '--w'], ['--wait']],
    [['--js'], ['--json']],
    [['--j', '--no'], ['--no-color']],
    [['preview', '--rows', '3', '--row'], []],
    [['nonsense', ''], []],
    [['--dir', ''], []],
  ])('of %j is %j', async (words, candidates) => {
    expect(await completed(...words)).toEqual(candidates)
  })

  it('of nothing is all commands, each once', async () => {
    const all = await completed('')
    expect(all).toEqual([...new Set(COMMANDS.map(({ name }) => name.split(' ')[0]))])
    expect(all.filter(name => name === 'secret')).toHaveLength(1)
  })

  it('offers each option of each command', async () => {
    for (const entry of COMMANDS) {
      const command = await entry.load()
      const offered = await completed(...entry.name.split(' '), '--')
      for (const option of Object.keys(command.options)) expect(offered).toContain(`--${option}`)
      expect(offered).toContain('--help')
    }
  })
})
