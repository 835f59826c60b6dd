import { algoliaSuite } from './algolia.ts'
import { embeddedProfile } from './embedded-profile.ts'

algoliaSuite(embeddedProfile)
