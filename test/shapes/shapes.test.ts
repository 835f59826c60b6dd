import { embeddedShapes } from './small-shapes.ts'

embeddedShapes([
  ['half-leaves', 0.01],
  ['all-rejected', 0.02],
])
