import { algoliaFaultSuite, algoliaSuite } from './algolia.ts'
import { distributedProfiles, embeddedProfile } from './profiles.ts'

algoliaSuite(embeddedProfile)
distributedProfiles().forEach(algoliaFaultSuite)
