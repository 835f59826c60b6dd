import { atMostOnceSuite } from './at-most-once.ts'
import { distributedProfiles } from './profiles.ts'

for (const profile of distributedProfiles()) atMostOnceSuite(profile)
