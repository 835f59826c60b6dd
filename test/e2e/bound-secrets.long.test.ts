import { boundSecretsTests } from './bound-secrets.ts'
import { distributedProfiles } from './profiles.ts'

for (const profile of distributedProfiles()) boundSecretsTests(profile)
