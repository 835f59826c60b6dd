import { embeddedProfile } from './embedded-profile.ts'
import { tracesSuite } from './traces.ts'

tracesSuite(embeddedProfile)
