import { distributedProfiles } from './profiles.ts'
import { tracesSuite } from './traces.ts'

for (const profile of distributedProfiles()) tracesSuite(profile)
