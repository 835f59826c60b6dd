import { embeddedProfile } from './profiles.ts'
import { vaultTests } from './vault.ts'

vaultTests(embeddedProfile)
