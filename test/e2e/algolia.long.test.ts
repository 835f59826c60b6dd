import { algoliaSuite } from './algolia.ts'
import { distributedProfiles } from './profiles.ts'

distributedProfiles().forEach(algoliaSuite)
