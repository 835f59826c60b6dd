/**
 * Finds code that nothing uses, from the syntax of all files at once: production files that no process loads,
 * and exports that nobody imports. It reads names, not types, so it errs on the side of what lives: whatever
 * imports a file as a whole (`import * as`, `import()`) counts as a use of each of its exports.
 */
import { posix } from 'node:path'
import ts from 'typescript'

/** Why a line of code is dead; each is one rule of CONTRIBUTING.md. */
export type Deadness =
  /** No `main.ts` leads to this file. */
  | 'unreached-file'
  /** Neither production code nor this file itself uses it, though a test may. */
  | 'unused-export'
  /** Only this file uses it, so its `export` has no reader. A type may be exported beside what uses it. */
  | 'needless-export'

export interface DeadCode {
  readonly why: Deadness
  readonly file: string
  /** The export's name; null for a file. */
  readonly name: string | null
}

/** What Node is started with. */
const MAIN = /^services\/[^/]+\/(src|web)\/main[.]tsx?$/

export const isProduction = (file: string): boolean =>
  /^(libs|services)\/[^/]+\/(src|web)\/.*[.]tsx?$/.test(file) && !/[.]test[.]tsx?$/.test(file)

interface Export {
  readonly name: string
  readonly isType: boolean
}

interface SourceModule {
  readonly exports: readonly Export[]
  /** Imported names by file; `*` stands for all of them. */
  readonly imports: readonly (readonly [file: string, name: string])[]
  /** How often each identifier is written. */
  readonly mentions: ReadonlyMap<string, number>
}

/** `files` are the texts of all TypeScript files by their path from the root, with forward slashes. */
export function findDeadCode(files: ReadonlyMap<string, string>): readonly DeadCode[] {
  const modules = new Map([...files].map(([file, text]) => [file, readModule(file, text, files)]))
  const users = new Map<string, string[]>()
  for (const [file, { imports }] of modules)
    for (const [imported, name] of imports) {
      const key = `${imported}#${name}`
      users.set(key, [...(users.get(key) ?? []), file])
    }
  const usersOf = (file: string, name: string): readonly string[] => [
    ...(users.get(`${file}#${name}`) ?? []),
    ...(users.get(`${file}#*`) ?? []),
  ]
  const reached = reachedFrom(
    [...modules.keys()].filter(file => MAIN.test(file)),
    modules,
  )
  const dead: DeadCode[] = []
  for (const [file, { exports, mentions }] of modules) {
    if (isProduction(file) && !reached.has(file)) {
      dead.push({ why: 'unreached-file', file, name: null })
      continue
    }
    for (const { name, isType } of exports) {
      const by = usersOf(file, name)
      const usedHere = (mentions.get(name) ?? 0) > 1
      const living = isProduction(file) ? by.some(isProduction) : by.length > 0
      if (living) continue
      if (!usedHere) dead.push({ why: 'unused-export', file, name })
      else if (by.length === 0 && !isType) dead.push({ why: 'needless-export', file, name })
    }
  }
  return dead
}

function reachedFrom(mains: readonly string[], modules: ReadonlyMap<string, SourceModule>): Set<string> {
  const reached = new Set(mains)
  for (const file of reached) for (const [imported] of modules.get(file)?.imports ?? []) reached.add(imported)
  return reached
}

function readModule(file: string, text: string, files: ReadonlyMap<string, string>): SourceModule {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const exports: Export[] = []
  const imports: [string, string][] = []
  const mentions = new Map<string, number>()
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) mentions.set(node.text, (mentions.get(node.text) ?? 0) + 1)
    const specifier = specifierOf(node)
    const imported = specifier === null ? null : resolve(specifier, file, files)
    if (imported !== null) for (const name of importedNames(node)) imports.push([imported, name])
    exports.push(...exportsIn(node, source))
    ts.forEachChild(node, visit)
  }
  visit(source)
  return { exports, imports, mentions }
}

/** What a node imports: by `import` or `export … from`, by `import()`, or as `new URL('./x.ts', …)`. */
function specifierOf(node: ts.Node): string | null {
  const literal = (of: ts.Node | undefined): string | null =>
    of !== undefined && ts.isStringLiteralLike(of) ? of.text : null
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return literal(node.moduleSpecifier)
  if (ts.isImportTypeNode(node))
    return ts.isLiteralTypeNode(node.argument) ? literal(node.argument.literal) : null
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
    return literal(node.arguments[0])
  if (ts.isNewExpression(node) && node.expression.getText() === 'URL') return literal(node.arguments?.[0])
  return null
}

const ALL = '*'

function importedNames(node: ts.Node): readonly string[] {
  if (ts.isImportDeclaration(node)) {
    const bindings = node.importClause?.namedBindings
    if (bindings !== undefined && ts.isNamedImports(bindings)) return namesOf(bindings.elements)
  }
  if (ts.isExportDeclaration(node) && node.exportClause !== undefined && ts.isNamedExports(node.exportClause))
    return namesOf(node.exportClause.elements)
  return [ALL]
}

function namesOf(elements: readonly (ts.ImportSpecifier | ts.ExportSpecifier)[]): readonly string[] {
  return elements.map(({ propertyName, name }) => (propertyName ?? name).text)
}

/** The path of a file of ours that a specifier names, or null. */
function resolve(specifier: string, from: string, files: ReadonlyMap<string, string>): string | null {
  const [, room = '', path = ''] = /^@sluice\/([^/]+)\/(.+)$/.exec(specifier) ?? []
  const candidates = specifier.startsWith('.')
    ? [posix.join(posix.dirname(from), specifier)]
    : ['libs', 'services'].flatMap(place =>
        ['src/', '', 'test/'].map(folder => `${place}/${room}/${folder}${path}.ts`),
      )
  return candidates.find(candidate => files.has(candidate)) ?? null
}

function exportsIn(node: ts.Node, source: ts.SourceFile): readonly Export[] {
  if (ts.isExportDeclaration(node) && node.exportClause !== undefined && ts.isNamedExports(node.exportClause))
    return node.exportClause.elements.map(({ name }) => ({ name: name.text, isType: node.isTypeOnly }))
  if (node.parent !== source || !ts.canHaveModifiers(node)) return []
  if (ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) !== true) return []
  if (ts.isVariableStatement(node))
    return node.declarationList.declarations.flatMap(({ name }) => declared(name))
  if (ts.isFunctionDeclaration(node) || ts.isClassDeclaration(node))
    return node.name === undefined ? [] : [{ name: node.name.text, isType: false }]
  if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node))
    return [{ name: node.name.text, isType: true }]
  return []
}

function declared(name: ts.BindingName): readonly Export[] {
  if (ts.isIdentifier(name)) return [{ name: name.text, isType: false }]
  return name.elements.flatMap(element => (ts.isOmittedExpression(element) ? [] : declared(element.name)))
}
