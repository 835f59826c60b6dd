/** See build-bundle.mjs. */
export function buildBundle(bundle: 'command' | 'services', bundles?: string): Promise<string>
