/** The examples of docs/examples against pretend APIs, in the process of the test. */
import { describe } from 'vitest'
import { brazeExample } from './examples/braze.ts'
import { customerioExample } from './examples/customerio.ts'
import { hubspotExample } from './examples/hubspot.ts'
import { salesforceExample } from './examples/salesforce.ts'
import { slackExample } from './examples/slack.ts'
import { soapExample } from './examples/soap.ts'
import { stripeExample } from './examples/stripe.ts'
import { embeddedProfile } from './embedded-profile.ts'

// They mostly wait: for the pace of an API, or for the pause before another try.
describe.concurrent('the example of', () => {
  stripeExample(embeddedProfile)
  slackExample(embeddedProfile)
  customerioExample(embeddedProfile)
  hubspotExample(embeddedProfile)
  brazeExample(embeddedProfile)
  salesforceExample(embeddedProfile)
  soapExample(embeddedProfile)
})
