import { algoliaFaultSuite, algoliaSuite } from './algolia.ts'
import { bothProfiles, distributedProfiles } from './profiles.ts'

distributedProfiles().forEach(algoliaSuite)
bothProfiles().forEach(algoliaFaultSuite)
