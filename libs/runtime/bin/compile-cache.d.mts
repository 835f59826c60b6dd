/** See compile-cache.mjs. */
export function compileCacheFolder(env: { readonly [name: string]: string | undefined }): string | null
