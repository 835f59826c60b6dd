import { boundSecretsTests } from './bound-secrets.ts'
import { embeddedProfile } from './profiles.ts'

boundSecretsTests(embeddedProfile)
