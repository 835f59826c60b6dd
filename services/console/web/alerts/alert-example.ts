/** An alert that most people want. */
export const ALERT_EXAMPLE = `kind: alert
name: on-call
syncs: all
when:
  - run-failed
  - held
  - rows-failed: { share: 0.01 }
  - silent: { noSuccessFor: 1d }
to:
  slack:
    url: \${secret:slack-url}
`
