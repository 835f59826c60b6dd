import { algoliaFaultSuite, algoliaSuite } from './algolia.ts'
import { bothProfiles, embeddedProfile } from './profiles.ts'

algoliaSuite(embeddedProfile)
bothProfiles().forEach(algoliaFaultSuite)
