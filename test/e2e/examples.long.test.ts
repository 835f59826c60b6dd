/** The examples of docs/examples against pretend APIs. All play embedded, two of them distributed. */
import { describe, inject } from 'vitest'
import { brazeExample } from './examples/braze.ts'
import { customerioExample } from './examples/customerio.ts'
import { hubspotExample, moreOfHubspot } from './examples/hubspot.ts'
import { hubspotStreamExample } from './examples/hubspot-stream.ts'
import { salesforceExample } from './examples/salesforce.ts'
import { slackExample } from './examples/slack.ts'
import { soapExample } from './examples/soap.ts'
import { moreOfStripe, stripeExample } from './examples/stripe.ts'
import { distributedProfiles, embeddedProfile } from './profiles.ts'

describe.for(distributedProfiles())('the example of, $name', profile => {
  stripeExample(profile)
  slackExample(profile)
})

// They mostly wait: for the pace of an API, or for the pause before another try.
describe.concurrent('the example of', () => {
  stripeExample(embeddedProfile)
  customerioExample(embeddedProfile)
  hubspotExample(embeddedProfile)
  hubspotStreamExample(inject('postgresUrl'))
  soapExample(embeddedProfile)
  slackExample(embeddedProfile)
  brazeExample(embeddedProfile)
  salesforceExample(embeddedProfile)
})

describe('more of the example of', () => {
  moreOfStripe(embeddedProfile)
  moreOfHubspot(embeddedProfile)
})
