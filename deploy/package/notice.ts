/** The licences of the packages whose code is part of the package, for its file NOTICE. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

const manifestOf = z.object({
  name: z.string(),
  version: z.string(),
  license: z.string().optional(),
  author: z.union([z.string(), z.object({ name: z.string() })]).optional(),
})

const RULE = '-'.repeat(80)

/** `modules` are files, absolute. Those outside of `node_modules` are Sluice's own. */
export function noticeFor(modules: Iterable<string>): string {
  const folders = new Set([...modules].flatMap(path => packageFolder(path) ?? []))
  const entries = new Map([...folders].map(entryFor))
  const names = [...entries.keys()].sort()
  return [
    'Sluice contains code of the packages below, each under its own licence.\n',
    ...names.map(name => `${RULE}\n${name}\n\n${entries.get(name) ?? ''}\n`),
  ].join('\n')
}

/** The folder of the package that a file belongs to; null for a file of Sluice. */
function packageFolder(path: string): string | null {
  const [, inPackage] = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path.replaceAll('\\', '/')) ?? []
  return inPackage ?? null
}

function entryFor(folder: string): [name: string, text: string] {
  const { name, version, license, author } = manifestOf.parse(
    JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')),
  )
  const files = readdirSync(folder).filter(file => /^(licen[cs]e|notice|copying)\b/i.test(file))
  const texts = files.map(file => readFileSync(join(folder, file), 'utf8').trim())
  if (texts.length > 0) return [`${name} ${version}`, texts.join('\n\n')]
  if (license === undefined) throw new Error(`${folder} names no licence`)
  const by = typeof author === 'object' ? author.name : author
  return [`${name} ${version}`, by === undefined ? license : `${license}, by ${by}`]
}
