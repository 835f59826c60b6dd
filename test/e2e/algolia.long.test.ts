import { algoliaFaultSuite, algoliaSuite } from './algolia.ts'
import { distributedProfiles, embeddedProfile } from './profiles.ts'

distributedProfiles().forEach(algoliaSuite)
algoliaFaultSuite(embeddedProfile)
