import { distributedShapes, embeddedShapes, type SmallShape } from './small-shapes.ts'

const SHAPES: readonly SmallShape[] = [
  ['wide-10kb-changes', 0.01],
  ['column-of-7mb', 0.1],
  ['columns-1000', 0.01],
  ['key-1-byte', 1],
  ['key-8-columns', 0.01],
  ['half-leaves', 0.01],
  ['scattered-changes', 0.01],
  ['all-rejected', 0.05],
  ['all-unknown', 0.01],
  ['all-throttled-once', 0.03],
  ['syncs-200', 0.03],
]

embeddedShapes(SHAPES)
distributedShapes(SHAPES)
