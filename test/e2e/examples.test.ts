/** The examples of docs/examples against pretend APIs, in the process of the test. */
import { describe } from 'vitest'
import { customerioExample } from './examples/customerio.ts'
import { hubspotExample } from './examples/hubspot.ts'
import { soapExample } from './examples/soap.ts'
import { stripeExample } from './examples/stripe.ts'
import { embeddedProfile } from './embedded-profile.ts'

// They mostly wait: for the pace of an API, or for the pause before another try.
describe.concurrent('the example of', () => {
  stripeExample(embeddedProfile)
  customerioExample(embeddedProfile)
  hubspotExample(embeddedProfile)
  soapExample(embeddedProfile)
})
