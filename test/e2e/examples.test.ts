/** The examples of docs/examples against pretend APIs, in the process of the test. */
import { describe } from 'vitest'
import { customerioExample } from './examples/customerio.ts'
import { slackExample } from './examples/slack.ts'
import { stripeExample } from './examples/stripe.ts'
import { embeddedProfile } from './embedded-profile.ts'

// They mostly wait: for the pace of an API, or for the pause before another try.
describe.concurrent('the example of', () => {
  stripeExample(embeddedProfile)
  slackExample(embeddedProfile)
  customerioExample(embeddedProfile)
})
