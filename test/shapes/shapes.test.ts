import { embeddedShapes } from './small-shapes.ts'

embeddedShapes([
  ['key-8-columns', 0.01],
  ['half-leaves', 0.01],
  ['all-rejected', 0.02],
])
