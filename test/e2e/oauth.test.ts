import { oauthTests } from './oauth.ts'
import { embeddedProfile } from './profiles.ts'

oauthTests(embeddedProfile, { all: false })
