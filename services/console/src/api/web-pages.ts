/**
 * The console's pages, built into `web/dist`. They are read once and kept in memory, each with its compressed
 * form. Anybody who reaches the server may load them, since they hold no data.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { takesGzip } from './compression.ts'

const BUILT = fileURLToPath(new URL('../../web/dist', import.meta.url))

const TYPES: { readonly [extension: string]: string } = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
}

/** The browser checks for a newer file each time, except if the name changes with the content. */
const ASK_AGAIN = 'no-cache'
const FOR_EVER = 'public, max-age=31536000, immutable'

const NOT_BUILT = Buffer.from(
  '<!doctype html><title>Sluice</title><p>The pages of the console are not built. ' +
    'Run <code>npm run prepare</code> in the folder of Sluice and start it again. The API and the command work without them.',
)

interface File {
  readonly body: Buffer
  readonly gzipped: Buffer
  readonly headers: { readonly [name: string]: string }
  readonly tag: string
}

export interface PageAnswer {
  readonly status: 200 | 304
  readonly headers: { readonly [name: string]: string }
  readonly body: Buffer | null
}

export interface PageRequest {
  readonly path: string
  readonly acceptEncoding: string | undefined
  readonly ifNoneMatch: string | undefined
}

export class WebPages {
  readonly #files: ReadonlyMap<string, File>
  readonly #index: File

  private constructor(files: ReadonlyMap<string, File>) {
    this.#files = files
    this.#index = files.get('/index.html') ?? fileOf('/index.html', NOT_BUILT)
  }

  /** Reads the pages of a folder. Without one, each page says how to build it. */
  static async read(folder = BUILT): Promise<WebPages> {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
    const files = await Promise.all(
      entries
        .filter(entry => entry.isFile())
        .map(async entry => {
          const file = join(entry.parentPath, entry.name)
          const path = `/${relative(folder, file).split(sep).join('/')}`
          return [path, fileOf(path, await readFile(file))] as const
        }),
    )
    return new WebPages(new Map(files))
  }

  /**
   * Answers a GET of a path outside the API. Any path that is no file gets the page of the console, which
   * knows the addresses of its screens. Null for an asset that does not exist.
   */
  answer({ path, acceptEncoding, ifNoneMatch }: PageRequest): PageAnswer | null {
    const found = this.#files.get(path)
    if (found === undefined && extname(path) !== '' && path.startsWith('/assets/')) return null
    const { body, gzipped, headers, tag } = found ?? this.#index
    if (ifNoneMatch === tag) return { status: 304, headers, body: null }
    if (!takesGzip(acceptEncoding)) return { status: 200, headers, body }
    return { status: 200, headers: { ...headers, 'content-encoding': 'gzip' }, body: gzipped }
  }
}

function fileOf(path: string, body: Buffer): File {
  const extension = extname(path)
  const tag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
  return {
    ...{ body, gzipped: gzipSync(body), tag },
    headers: {
      'content-type': TYPES[extension] ?? 'application/octet-stream',
      'cache-control': path.startsWith('/assets/') ? FOR_EVER : ASK_AGAIN,
      ...{ etag: tag, vary: 'accept-encoding' },
    },
  }
}
