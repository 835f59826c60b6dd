/**
 * How Node runs what holds rows in memory: the command and the services, which start through `runHere`. The
 * image names the same settings, since a container's command is a file. Plain JavaScript, since any Node may
 * read it.
 */
import { fileURLToPath } from 'node:url'

/**
 * Sluice bounds all that it holds in memory, so a bounded heap costs nothing and keeps V8 from putting off
 * the collection of garbage.
 */
export const HEAP_FLAGS = ['--max-semi-space-size=8', '--max-old-space-size=768']
export const FLAGS = ['--disable-warning=ExperimentalWarning', ...HEAP_FLAGS]
/**
 * Memory goes back to the system once it is free. Otherwise glibc soon keeps pieces of up to 32 MB: some 150
 * MB after rows of 1 MB. It would also give each thread a heap of its own, of which none takes what another
 * has freed: more than 150 MB where rows have 1,000 columns, and the threads of Node, V8 and DuckDB share the
 * work on them. The allocator of DuckDB (jemalloc, in its library) keeps all for ten seconds: more than 500
 * MB for such rows.
 */
export const MEMORY = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '262144',
  DUCKDB_JE_MALLOC_CONF: 'dirty_decay_ms:0,muzzy_decay_ms:0',
}

/**
 * Node keeps compiled code here between starts, and runs what it finds here. Only a user who may change the
 * packages may write to it: it stands among them.
 */
const COMPILED = fileURLToPath(new URL('../../../node_modules/.cache/sluice', import.meta.url))

/** The environment of a Node that runs Sluice, where `env` leaves something open. */
export function environmentOf(env) {
  return { NODE_COMPILE_CACHE: COMPILED, ...MEMORY, ...env }
}

/**
 * Starts this process again with the settings, for the file of that URL. Where the system cannot do that, the
 * file runs in this process as it is.
 */
export async function runHere(main, args) {
  const emitWarning = process.emitWarning.bind(process)
  process.emitWarning = (warning, ...rest) => {
    const type = typeof rest[0] === 'object' && rest[0] !== null ? rest[0].type : rest[0]
    if (type !== 'ExperimentalWarning') emitWarning(warning, ...rest)
  }
  if (process.platform !== 'win32' && process.execve !== undefined)
    process.execve(
      process.execPath,
      [process.execPath, ...FLAGS, ...process.execArgv, fileURLToPath(main), ...args],
      environmentOf(process.env),
    )
  await import(main.href)
}
