import { heldRunSuite } from './held-run.ts'
import { distributedProfiles } from './profiles.ts'

distributedProfiles().forEach(heldRunSuite)
