/** `sluice completion`. */
import { resolve } from 'node:path'
import { SluiceError } from '@sluice/contracts/errors'
import { environmentsIn } from '@sluice/project/files/environments'
import { findProject } from '@sluice/project/files/project-root'
import type { Command, CommandContext } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { openControl } from '../open-control.ts'
import { placeGiven } from '../parse-command-line.ts'
import { completeWords, type Named } from './complete-words.ts'

export const SHELLS = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof SHELLS)[number]
/** The scripts ask for candidates with this word in place of the name of a shell. */
const CANDIDATES = 'candidates'
/** Nobody waits for longer after a press of Tab. */
const PATIENCE_MS = 5_000
const PAGE = 1_000

export const command: Command = {
  description:
    'Prints a script with which a shell completes commands, options, and the names of syncs, destinations and environments. The names are those of the project in the folder, or of the server that SLUICE_URL names.',
  positionals: [
    { name: 'SHELL', required: true, choices: SHELLS, help: 'bash, zsh or fish' },
    {
      name: 'WORD',
      required: false,
      repeats: true,
      help: 'with `candidates -- WORD…`: the scripts ask in this way',
    },
  ],
  options: {},
  anywhere: true,
  examples: [
    {
      command: 'source <(sluice completion bash)',
      does: 'for this shell; for each new one, put it into ~/.bashrc',
    },
    { command: 'source <(sluice completion zsh)', does: 'the same in ~/.zshrc, after compinit' },
    { command: 'sluice completion fish > ~/.config/fish/completions/sluice.fish', does: 'for fish, once' },
  ],
  async run(context) {
    const { args, stdout, commands, json } = context
    const [shell = '', ...words] = args.positionals
    if (isShell(shell)) {
      stdout.write(
        json
          ? `${JSON.stringify({ shell, script: COMPLETION_SCRIPTS[shell] })}\n`
          : COMPLETION_SCRIPTS[shell],
      )
      return EXIT.success
    }
    if (shell !== CANDIDATES)
      throw new SluiceError(
        'usage',
        `\`sluice completion\` wants one of ${SHELLS.join(', ')}, found \`${shell}\`.`,
      )
    const found = await completeWords(words, commands, what => namesOf(what, context, words))
    stdout.write(found.map(candidate => `${candidate}\n`).join(''))
    return EXIT.success
  },
}

function isShell(text: string): text is Shell {
  return SHELLS.some(shell => shell === text)
}

const NOWHERE = { write: () => true }

/** Returns no names if they cannot be read, since a press of Tab is no place for an error. */
async function namesOf(
  what: Named,
  context: CommandContext,
  words: readonly string[],
): Promise<readonly string[]> {
  const given = placeGiven(words)
  const env = given.env === null ? context.env : { ...context.env, SLUICE_ENV: given.env }
  try {
    const start = resolve(context.dir, given.dir ?? '.')
    if (what === 'ENV') return environmentsIn((await findProject(start, context)).dir)
    const found = (env['SLUICE_URL'] ?? '') === '' ? await findProject(start, context) : null
    const signal = AbortSignal.any([context.signal, AbortSignal.timeout(PATIENCE_MS)])
    await using control = await openControl({
      ...context,
      ...{ env, dir: found?.dir ?? start, signal, stderr: NOWHERE },
    })
    const { resources } = await control.call('listResources', { limit: PAGE }, { signal })
    const kind = what.toLowerCase()
    return resources.filter(resource => resource.kind === kind).map(({ name }) => name)
  } catch {
    return []
  }
}

const BASH = `# Completion of sluice for bash.
_sluice() {
  local IFS=$'\\n'
  COMPREPLY=($("\${COMP_WORDS[0]}" completion candidates -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _sluice sluice
`

const ZSH = `#compdef sluice
# Completion of sluice for zsh.
_sluice() {
  local -a candidates
  candidates=("\${(@f)$("\${words[1]}" completion candidates -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${candidates[1]}" ]]; then compadd -a candidates; else _files; fi
}
compdef _sluice sluice
`

const FISH = `# Completion of sluice for fish.
function __sluice_candidates
    set -l words (commandline -opc) (commandline -ct)
    $words[1] completion candidates -- $words[2..-1] 2>/dev/null
end
complete -c sluice -a '(__sluice_candidates)'
`

export const COMPLETION_SCRIPTS: { readonly [S in Shell]: string } = { bash: BASH, zsh: ZSH, fish: FISH }
