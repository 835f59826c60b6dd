/**
 * The states of a destination, in the words that pages, commands, metrics and alerts share. It is a file of
 * its own, so that a page loads no schema with it.
 */

/** The words for each state, with its urgency: `bad` needs somebody, `warn` may pass, `calm` is no news. */
export const DESTINATION_STATES = {
  healthy: { text: 'healthy', tone: 'good', meaning: 'It takes requests.' },
  degraded: { text: 'degraded', tone: 'warn', meaning: 'Some requests fail: at least one in 20.' },
  failing: { text: 'failing', tone: 'bad', meaning: 'At least half of the requests fail.' },
  paused: {
    text: 'paused by the API',
    tone: 'warn',
    meaning: 'The API asked to wait, and nothing is sent until then.',
  },
  'breaker-open': {
    text: 'breaker open',
    tone: 'bad',
    meaning: 'It failed so often in a row that Sluice stopped sending, and tries again after each pause.',
  },
  unusable: {
    text: 'cannot be used',
    tone: 'bad',
    meaning: 'A secret, a login or a certificate is missing or wrong.',
  },
  unused: { text: 'never used', tone: 'calm', meaning: 'No request was sent to it yet.' },
  idle: { text: 'no recent attempts', tone: 'calm', meaning: 'No request was sent to it for a day.' },
} as const satisfies {
  readonly [state: string]: {
    readonly text: string
    readonly tone: 'good' | 'warn' | 'bad' | 'calm'
    readonly meaning: string
  }
}
export type DestinationState = keyof typeof DESTINATION_STATES
