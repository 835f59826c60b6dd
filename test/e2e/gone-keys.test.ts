import { goneKeysSuite } from './gone-keys.ts'

goneKeysSuite('SQLite', null)
