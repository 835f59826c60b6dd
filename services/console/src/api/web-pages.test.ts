import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebPages } from './web-pages.ts'

const asked = { acceptEncoding: undefined, ifNoneMatch: undefined }

describe('the pages of the console', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-pages-'))
    await mkdir(join(folder, 'assets'))
    await writeFile(join(folder, 'index.html'), '<!doctype html><title>Sluice</title>')
    await writeFile(join(folder, 'assets/main-1a2b.js'), 'export {}')
    await writeFile(join(folder, '../secret.txt'), 'not a page')
  })
  afterAll(async () => {
    await rm(folder, { recursive: true })
    await rm(join(folder, '../secret.txt'))
  })

  it('are one document at each address of a screen', async () => {
    const pages = await WebPages.read(folder)
    for (const path of ['/', '/runs/01JD', '/syncs/a.b'])
      expect(pages.answer({ ...asked, path }), path).toMatchObject({
        status: 200,
        headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-cache' },
      })
  })

  it('keep scripts for ever by their names, and refuse one that is not there', async () => {
    const pages = await WebPages.read(folder)
    const script = pages.answer({ ...asked, path: '/assets/main-1a2b.js' })
    expect(script?.headers['cache-control']).toContain('immutable')
    expect(script?.headers['content-type']).toContain('javascript')
    expect(pages.answer({ ...asked, path: '/assets/main-old.js' })).toBeNull()
  })

  it('are sent once, and compressed if the browser takes that', async () => {
    const pages = await WebPages.read(folder)
    const zipped = pages.answer({ ...asked, path: '/', acceptEncoding: 'gzip, br' })
    expect(zipped?.headers['content-encoding']).toBe('gzip')
    expect(String(gunzipSync(zipped?.body ?? ''))).toContain('<title>Sluice</title>')
    const again = pages.answer({ ...asked, path: '/', ifNoneMatch: zipped?.headers['etag'] })
    expect(again).toMatchObject({ status: 304, body: null })
  })

  it('hold no file of another folder', async () => {
    const pages = await WebPages.read(folder)
    for (const path of [
      ...[
        '/../secret.txt',
        '/%2e%2e/secret.txt',
        '/assets/../../secret.txt',
        '/assets/%2e%2e/%2e%2e/secret.txt',
      ],
      ...['//secret.txt', '/./../secret.txt', '/..%2fsecret.txt', '/..%5csecret.txt', '/..\\secret.txt'],
      ...[
        '/assets//../../secret.txt',
        '/%252e%252e/secret.txt',
        '/\0../secret.txt',
        `${folder}/../secret.txt`,
      ],
    ])
      expect(String(pages.answer({ ...asked, path })?.body ?? ''), path).not.toContain('not a page')
  })

  it('say how to build them, where they are not built', async () => {
    const pages = await WebPages.read(join(folder, 'nowhere'))
    expect(String(pages.answer({ ...asked, path: '/' })?.body)).toContain('npm run prepare')
  })
})
