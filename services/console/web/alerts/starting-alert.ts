/**
 * The text with which the form of a new alert begins: conditions that most people want, and a target that is
 * still to be filled in.
 */
export const STARTING_ALERT = `kind: alert
name: on-call
syncs: all
when:
  - run-failed
  - held
  - rows-failed: { share: 0.01 }
  - silent: { noSuccessFor: 1d }
to:
  slack:
    url: ''
`
