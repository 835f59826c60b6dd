/** A mistake that somebody could make, and that the histories have to notice. */
export const MISTAKES = [
  'sends-in-flight',
  'forgets-held',
  'passes-unwritten',
  'forgets-orders',
  'orders-by-run',
  'orders-by-transaction',
  'orders-by-writing',
  'takes-repeats',
  'finishes-before-effects',
  'ignores-outcomes',
] as const
export type Mistake = (typeof MISTAKES)[number]
