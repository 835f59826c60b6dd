import { breakerSuite } from './breaker.ts'
import { distributedProfiles } from './profiles.ts'

for (const profile of distributedProfiles()) breakerSuite(profile)
