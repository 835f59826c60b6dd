/** See build-bundle.mjs. */
export function buildBundle(bundle: string): Promise<void>
