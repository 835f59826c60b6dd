/** See fresh-bundle.mjs. */
export const STAMP: string
export function stampOf(sources: readonly string[], root?: string): readonly (readonly [string, string])[]
export function freshBundle(root?: string, bundle?: string): string | null
