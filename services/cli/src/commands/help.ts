/** `sluice help`. */
import { terminalColumns, type Command } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { commandHelp, overallHelp } from '../help.ts'
import { findCommand } from '../parse-command-line.ts'

export const command: Command = {
  description: 'Explains sluice and lists its commands, or explains one of them.',
  positionals: [
    { name: 'COMMAND', required: false, help: 'the command to explain' },
    { name: 'SUBCOMMAND', required: false, help: 'its second word, as in `runs show`' },
  ],
  options: {},
  anywhere: true,
  examples: [
    { command: 'sluice help', does: 'what sluice is, and all commands' },
    { command: 'sluice help runs show', does: 'the same as `sluice runs show --help`' },
  ],
  async run({ args, commands, stdout, color }) {
    const columns = terminalColumns(stdout)
    const { entry } = findCommand(args.positionals, commands)
    const text =
      entry === null
        ? overallHelp(commands, { color, columns })
        : commandHelp(entry, (await entry.load()).command, { color, columns })
    stdout.write(text)
    return EXIT.success
  },
}
