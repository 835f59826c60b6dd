/** See node-settings.mjs. */
export const HEAP_FLAGS: readonly string[]
export const FLAGS: readonly string[]
export const MEMORY: { readonly [name: string]: string }
export function environmentOf(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv
export function runHere(main: URL, args: readonly string[]): Promise<void>
