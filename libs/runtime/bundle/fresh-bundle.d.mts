/** See fresh-bundle.mjs. */
type Bundle = 'command' | 'services'
export const ROOT: string
export const PROGRAMS: { readonly [bundle in Bundle]: { readonly [name: string]: string } }
export function stateOf(path: string): readonly [size: number, mtimeMs: number]
export function stampOf(bundle: Bundle, bundles?: string): string
export function freshBundle(bundle: Bundle, root?: string, bundles?: string): string | null
export function startFile(source: string, root?: string, bundles?: string): string
export function startUrl(source: URL): URL
export function startsElsewhere(
  code: string,
  id: string,
  addressOf: (name: string, written: string) => string,
): string | null
