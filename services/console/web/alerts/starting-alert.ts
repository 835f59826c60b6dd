/** The alert that a new one starts from: conditions that most people want, and a target still to fill in. */
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
