import { expect, it } from 'vitest'
import { GLOBAL_OPTIONS, findCommand } from './parse-command-line.ts'

it.each(['port', 'host', 'url', 'token'])(
  'names the variable for an option --%s, which there is not',
  name => {
    expect(Object.keys(GLOBAL_OPTIONS)).not.toContain(name)
    const variable = `SLUICE_${name.toUpperCase()}`
    expect(() => findCommand([`--${name}`], [])).toThrow(
      `\`sluice\` has no option \`--${name}\`. The environment variable ${variable} sets it.`,
    )
  },
)
