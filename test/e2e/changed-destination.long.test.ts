import { changedDestinationSuite } from './changed-destination.ts'
import { distributedProfiles } from './profiles.ts'

distributedProfiles().forEach(changedDestinationSuite)
