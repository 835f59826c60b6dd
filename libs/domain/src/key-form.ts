/**
 * The form of a key. Two keys of one form are **twins**: an API may take them for the same key, since they
 * differ only in letter case, accents, Unicode form or blanks (PROTOCOL.md §6). A run over a table folds keys
 * in SQL instead: `diff/twin-keys.ts` of libs/delivered-state.
 */

/** A longer key is its own form. No API takes it for another key. */
const MAX_FOLDED_BYTES = 1_000

/** Blanks, and invisible characters. */
const BLANKS = /[\s\p{Z}\p{Cc}\p{Cf}]+/gu
const MARKS = /\p{M}+/gu
/**
 * Such keys are their own form. Most keys are numbers or lower-case texts, and need no more than this look.
 */
const PLAIN = /^[!-@[-~]+$/

export function formOf(key: string): string {
  if (PLAIN.test(key) || Buffer.byteLength(key) > MAX_FOLDED_BYTES) return key
  const folded = key.replace(BLANKS, '').toLowerCase().normalize('NFKD').replace(MARKS, '')
  // A key of blanks alone is its own form.
  return folded === '' ? key : folded
}
