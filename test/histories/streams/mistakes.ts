/** A mistake that somebody could make, and that the histories have to notice. */
export const MISTAKES = [
  'sends-in-flight',
  'forgets-held',
  'passes-unwritten',
  'pays-later-slices',
  'forgets-orders',
  'orders-by-run',
  'orders-by-transaction',
  'orders-by-writing',
  'takes-repeats',
  'finishes-before-effects',
  'ignores-outcomes',
  'passes-new-partitions',
  // Requests that are tried again, and those that arrive late
  'passes-waiting',
  'forgets-taint',
  'waits-for-ever',
  'passes-before-late',
  // Decisions of people, and definitions
  'drops-commands',
  'ends-commands-early',
  'asks-again',
  'decides-by-run',
  'resyncs-delivered',
  'forgets-wanted',
  'leaves-wanted',
  'keeps-position-at-compare',
  // Captured values and twins
  'forgets-captured',
  'ignores-twins',
  'trusts-twins',
  // Breaks of the log, comparisons, partial entries
  'passes-breaks',
  'epochs-by-marker',
  'leaves-comparison',
  'passes-uncompared',
  'compares-at-later-order',
  'merges-with-delivered',
  // The cache of the state
  'caches-in-flight',
] as const
export type Mistake = (typeof MISTAKES)[number]
