import { oauthTests } from './oauth.ts'
import { distributedProfiles } from './profiles.ts'

for (const profile of distributedProfiles()) oauthTests(profile)
