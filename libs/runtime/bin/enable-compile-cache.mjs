/** Preloaded by the services: modules that are loaded after it are kept compiled. */
import { enableCompileCache } from 'node:module'
import { compileCacheFolder } from './compile-cache.mjs'

// Node has enabled it already if the variable is set.
const folder = process.env.NODE_COMPILE_CACHE === undefined ? compileCacheFolder(process.env) : null
if (folder !== null) enableCompileCache(folder)
