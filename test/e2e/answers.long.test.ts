import { answersSuite } from './answers.ts'
import { distributedProfiles } from './profiles.ts'

distributedProfiles().forEach(answersSuite)
