import { answersSuite } from './answers.ts'
import { embeddedProfile } from './profiles.ts'

answersSuite(embeddedProfile)
