import { distributedShapes, embeddedShapes } from './small-shapes.ts'

// Each plays once: where the log or many processes matter, on Kafka.
embeddedShapes([
  ['columns-1000', 0.01],
  ['key-1-byte', 1],
  ['key-8-columns', 0.01],
  ['scattered-changes', 0.01],
  ['all-unknown', 0.01],
])
distributedShapes([
  ['wide-10kb-changes', 0.01],
  ['column-of-7mb', 0.1],
  ['half-leaves', 0.01],
  ['all-rejected', 0.05],
  ['all-throttled-once', 0.03],
  ['syncs-200', 0.03],
])
