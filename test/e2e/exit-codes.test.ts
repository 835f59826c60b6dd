/** The table of exit codes and JSON has every command. */
import { expect, it } from 'vitest'
import { COMMANDS } from '@sluice/cli/commands'
import { CASES } from './exit-codes.ts'

/** They serve, write a folder, or print text for people alone. */
const ELSEWHERE = ['up', 'init', 'help']

it('the table of exit codes has every command', () => {
  const named = COMMANDS.map(({ name }) => name).filter(name => !ELSEWHERE.includes(name))
  const missing = named.filter(name => !CASES.some(({ command }) => `${command} `.startsWith(`${name} `)))
  expect(missing).toEqual([])
})
