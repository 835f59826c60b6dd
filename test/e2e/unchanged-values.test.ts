import { unchangedValuesSuite } from './unchanged-values.ts'

unchangedValuesSuite(300, 'short')
