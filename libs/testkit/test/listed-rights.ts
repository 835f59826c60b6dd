/** The rights in Redis that docs/OPERATIONS.md lists, as `ACL SETUSER` takes them, such as `+get`. */
import { readFile } from 'node:fs/promises'

export async function listedRedisRights(): Promise<readonly string[]> {
  const docs = await readFile(new URL('../../../docs/OPERATIONS.md', import.meta.url), 'utf8')
  const listed = /\*\*Rights\.\*\*[^]*?\n\n/.exec(docs)?.[0] ?? ''
  return [...listed.matchAll(/\+[a-z|]+/g)].map(([right]) => right)
}
