/** The examples of docs/examples, distributed; and what they take too long to tell in `npm test`. */
import { describe } from 'vitest'
import { brazeExample } from './examples/braze.ts'
import { customerioExample } from './examples/customerio.ts'
import { hubspotExample, moreOfHubspot } from './examples/hubspot.ts'
import { salesforceExample } from './examples/salesforce.ts'
import { slackExample } from './examples/slack.ts'
import { soapExample } from './examples/soap.ts'
import { moreOfStripe, stripeExample } from './examples/stripe.ts'
import { distributedProfiles, embeddedProfile } from './profiles.ts'

describe.for(distributedProfiles())('the example of, $name', profile => {
  stripeExample(profile)
  slackExample(profile)
  customerioExample(profile)
  hubspotExample(profile)
  brazeExample(profile)
  salesforceExample(profile)
  soapExample(profile)
})

describe.concurrent('the other examples, embedded, of', () => {
  slackExample(embeddedProfile)
  brazeExample(embeddedProfile)
  salesforceExample(embeddedProfile)
})

describe('more of the example of', () => {
  moreOfStripe(embeddedProfile)
  moreOfHubspot(embeddedProfile)
})
