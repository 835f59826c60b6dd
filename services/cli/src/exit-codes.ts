/**
 * The exit codes of `sluice` (docs/reference/commands.md#exit-codes). No other file maps errors and runs to
 * them.
 */
import type { ErrorCode } from '@sluice/contracts/errors'
import type { RunStatus } from '@sluice/contracts/records'

export const EXIT = {
  success: 0,
  failed: 1,
  usage: 2,
  warning: 3,
  held: 4,
  unreachable: 5,
  interrupted: 130,
} as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

const BY_ERROR: { readonly [code in ErrorCode]: ExitCode } = {
  usage: EXIT.usage,
  config: EXIT.usage,
  template: EXIT.usage,
  query: EXIT.usage,
  'missing-file': EXIT.usage,
  'not-found': EXIT.usage,
  forbidden: EXIT.usage,
  'schema-incompatible': EXIT.usage,
  unreachable: EXIT.unreachable,
  aborted: EXIT.interrupted,
  conflict: EXIT.failed,
  'too-long': EXIT.failed,
  disk: EXIT.failed,
  fenced: EXIT.failed,
  'writer-dead': EXIT.failed,
  'too-large': EXIT.failed,
  'offset-out-of-range': EXIT.failed,
  'lost-topic': EXIT.failed,
  corrupt: EXIT.failed,
  internal: EXIT.failed,
}

export function exitCodeOfError(code: ErrorCode): ExitCode {
  return BY_ERROR[code]
}

/**
 * The exit code of a run that has ended or is held. A failed run exits with the code of its error, if that is
 * known.
 */
export function exitCodeOfRun(status: RunStatus, errorCode: ErrorCode | null = null): ExitCode {
  switch (status) {
    case 'success':
      return EXIT.success
    case 'warning':
      return EXIT.warning
    case 'held':
      return EXIT.held
    case 'failed':
      return errorCode === null ? EXIT.failed : exitCodeOfError(errorCode)
    case 'cancelled':
    case 'queued':
    case 'running':
      return EXIT.failed
    default:
      return status satisfies never
  }
}

const WORST_FIRST = [
  EXIT.interrupted,
  EXIT.unreachable,
  EXIT.usage,
  EXIT.failed,
  EXIT.held,
  EXIT.warning,
] as const satisfies readonly ExitCode[]

/** The exit code of the run that went worst. */
export function worstExitCode(codes: readonly ExitCode[]): ExitCode {
  return WORST_FIRST.find(code => codes.includes(code)) ?? EXIT.success
}

/** Codes in the help of commands that ask the place where the project runs. */
export const EXITS_OF_ASKING = { 5: 'the server, Kafka, the registry or Redis cannot be reached' } as const

/** Codes in the help of commands that change stored resources, or say what they would change. */
export const EXITS_OF_CHANGES = {
  1: 'a resource is not of this project, or is in use: nothing was changed',
  ...EXITS_OF_ASKING,
} as const

/** Codes in the help of commands that wait for a run. */
export const EXITS_OF_RUNS = {
  0: 'every row was delivered',
  1: 'the run failed or was cancelled',
  2: 'wrong usage, configuration or SQL, missing file',
  3: 'a row is invalid or was not delivered',
  4: 'held: too many removals (the removal guard), or another destination',
  5: 'a source, server, Kafka, registry or Redis cannot be reached',
  130: 'interrupted: the run was ended cleanly',
} as const
