import { previewSuite } from './preview.ts'
import { distributedProfiles } from './profiles.ts'

distributedProfiles().forEach(previewSuite)
