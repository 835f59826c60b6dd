import { distributedProfiles } from './profiles.ts'
import { vaultTests } from './vault.ts'

for (const profile of distributedProfiles()) vaultTests(profile)
