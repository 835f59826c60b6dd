/** A command, and how the run that it is about is followed. */
import type { Command, RunEvent } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'

export interface Asked {
  readonly command: Command
  /**
   * A command that goes before it, for the same sync: an approval that resets, so that the run begins anew.
   */
  readonly after?: Command
  /** The run that is followed. */
  readonly runId: string
  /** Says which triggers the figures of the run have; null if it is not known. */
  readonly definition: Definition | null
  /** False if the command needs nothing of the project. */
  readonly publishes: boolean
  /** A state of the run that is known already, so that the caller does not wait for it. */
  readonly beyond?: RunEvent
}

/** True for a command that asks for a run, which has no event yet. */
export function isNew({ kind }: Command): boolean {
  return kind === 'run' || kind === 'reset'
}
