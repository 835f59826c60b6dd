import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadProject } from '../load-project.ts'
import { projectAround } from './project-around.ts'
import { findProject } from './project-root.ts'

const { signal } = new AbortController()
let root = ''
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sluice-root-'))
})
afterEach(async () => {
  await rm(root, { recursive: true, force: true })
})

async function folder(...parts: readonly string[]): Promise<string> {
  const path = join(root, ...parts)
  await mkdir(path, { recursive: true })
  return path
}

/** Makes the state that runs leave in a folder. */
async function stateIn(...parts: readonly string[]): Promise<void> {
  await writeFile(join(await folder(...parts, '.sluice'), 'log.db'), '')
}

describe('the project of a folder', () => {
  it('is the nearest one upwards that sluice.yaml or .sluice marks', async () => {
    const inside = await folder('shop', 'models', 'daily')
    await writeFile(join(root, 'shop', 'sluice.yaml'), 'kind: project\n')
    expect(await findProject(inside, { signal })).toEqual({ dir: join(root, 'shop'), below: null })
    const other = await folder('other', 'data')
    await stateIn('other')
    expect(await findProject(other, { signal })).toEqual({ dir: join(root, 'other'), below: null })
    const staged = await folder('staged', 'data')
    await folder('staged', '.sluice', 'env', 'prod')
    expect((await findProject(staged, { signal })).dir).toBe(join(root, 'staged'))
  })

  it('is not where a service of the distributed profile keeps its cache', async () => {
    const shop = await folder('servers', 'shop')
    await folder('servers', '.sluice', 'state')
    expect((await findProject(shop, { signal })).dir).toBe(shop)
    expect(await projectAround(shop)).toBeNull()
  })

  it('is the folder itself where none is marked', async () => {
    const plain = await folder('plain')
    expect(await findProject(plain, { signal })).toEqual({ dir: plain, below: null })
  })

  it('is never one that anybody may have put into a common folder above', async () => {
    const mine = await folder('mine')
    await writeFile(join(root, 'sluice.yaml'), '')
    await chmod(root, 0o1777)
    expect((await findProject(mine, { signal })).dir).toBe(mine)
    expect((await findProject(root, { signal })).dir).toBe(root)
  })

  it('names a project below, which hidden folders and node_modules do not have', async () => {
    await stateIn('.cache')
    await stateIn('node_modules', 'x')
    await stateIn()
    expect((await findProject(root, { signal })).below).toBeNull()
    await stateIn('a', 'b')
    expect((await findProject(root, { signal })).below).toBe(join('a', 'b'))
  })
})

describe('kind: project', () => {
  const load = () => loadProject(root, { env: {}, signal })
  const problems = async (): Promise<string[]> => {
    const error: unknown = await load().catch((thrown: unknown) => thrown)
    const { details = [] } = error as { details?: { file?: string; line?: number; message: string }[] }
    return details.map(({ file, line, message }) => [file, line].join(':') + ` ${message}`)
  }

  it('names the project, and is no resource', async () => {
    await writeFile(join(root, 'sluice.yaml'), '# ours\n---\nkind: project\nname: shop\ntitle: Our shop\n')
    const { owner, resources, skipped } = await load()
    expect({ owner, resources: resources.size, skipped }).toEqual({
      ...{ owner: { project: 'shop' }, resources: 0, skipped: [] },
    })
    await writeFile(join(root, 'sluice.yaml'), 'kind: project\ntitle: Our shop\n')
    expect((await load()).owner).toEqual({ project: basename(root), folder: root })
  })

  it.each([
    [
      'sluice.yaml',
      'kind: project\nname: Shop\n',
      /^sluice.yaml:2 project `Shop`: wanted a name of lower-case letters.* found `Shop`$/,
    ],
    [
      'sluice.yaml',
      'kind: project\nnmae: shop\n',
      /^sluice.yaml:2 project: unknown field `nmae`; did you mean `name`\?/,
    ],
    ['sluice.yaml', 'kind: project\nname: [a]\n', /^sluice.yaml:2 project: wanted .*, found a list/],
    [
      'sluice.yaml',
      'x: 1\n---\nkind: project\n',
      /^sluice.yaml:3 `kind: project` may stand only in `sluice.yaml`/,
    ],
    [
      'a.yaml',
      'kind: project\n',
      /^a.yaml:1 `kind: project` may stand only in `sluice.yaml` of the project folder/,
    ],
    ['sluice.yaml', 'Kind: project\n', /^sluice.yaml:1 `Kind` is not a field; write `kind`$/],
  ])('in %s as %j is reported with its place', async (file, text, message) => {
    await writeFile(join(root, file), text)
    expect(await problems()).toEqual([expect.stringMatching(message)])
  })
})
