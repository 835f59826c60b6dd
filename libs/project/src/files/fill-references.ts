/**
 * Fills in the references of a text (docs/reference/secrets.md): `${NAME}` and `${NAME:-default}` from the
 * environment, `${file:PATH}` from a file. References to secrets stay as they are, in fields that allow
 * secrets. `$${` is a literal `${`. References inside a text that was filled in are not filled in.
 */
import { NAME_PATTERN } from '@sluice/contracts/resources'
import { withoutReferences } from '@sluice/contracts/secret-references'
import { nearestName } from '@sluice/domain/nearest-name'
import type { FieldPath } from '../decode/places.ts'

export interface ReferenceSources {
  /** Null on a server, which fills in no variables. */
  readonly env: { readonly [name: string]: string | undefined } | null
  /** Returns the text of a file, or its problem. */
  readonly readFile: (path: string) => { readonly text: string } | { readonly problem: string }
  /** True if this field may contain `${secret:NAME}`. */
  readonly secretsAllowed: boolean
}

export interface FilledText {
  readonly text: string
  /**
   * True if the text was one `${NAME}` or `${NAME:-default}` and nothing else. Such a text may stand for a
   * number or boolean.
   */
  readonly whole: boolean
  /** The path of the file that the whole text came from, or null. */
  readonly file: string | null
  /** True if anything was filled in or unescaped, so that columns have moved. */
  readonly changed: boolean
  readonly problems: readonly string[]
}

const SECRETS_PLACE =
  'a secret may stand only in the `headers`, `query`, `auth` and `tls` of a destination, in the path of its `baseUrl`, in the `url`, `password`, `tls`, `sasl` and `registry` of a source, and in the `to` of an alert'

const SECRET_SOURCE_FIELDS: ReadonlySet<unknown> = new Set(['url', 'password', 'tls', 'sasl', 'registry'])

/**
 * True for a field that may contain `${secret:NAME}`. The reference stays as it is, and services look the
 * secret up on use.
 */
export function maySecretsStandIn(kind: string, path: FieldPath): boolean {
  const [first] = path
  if (kind === 'destination' && (first === 'auth' || first === 'tls' || first === 'baseUrl')) return true
  if (kind === 'destination') return path.length === 2 && (first === 'headers' || first === 'query')
  if (kind === 'alert') return first === 'to'
  return kind === 'source' && SECRET_SOURCE_FIELDS.has(first)
}

/** Fills in one text. `problems` is empty if all went well. */
export function fillReferences(source: string, sources: ReferenceSources): FilledText {
  if (!source.includes('${')) return { text: source, whole: false, file: null, changed: false, problems: [] }
  const parts = splitReferences(source)
  const problems: string[] = []
  const secretParts: string[] = []
  let plain = ''
  const endPlain = () => {
    secretParts.push(sources.secretsAllowed ? withoutReferences(plain) : plain)
    plain = ''
  }
  for (const part of parts) {
    if (part.kind === 'text') plain += part.text
    else {
      const value = resolve(part.reference, sources)
      if ('text' in value) plain += value.text
      else if ('problem' in value) problems.push(value.problem)
      else {
        if (plain.endsWith('$')) problems.push('a `$` cannot stand right before a secret')
        endPlain()
        secretParts.push(value.secret)
      }
    }
  }
  endPlain()
  const only = parts.length === 1 ? parts[0] : undefined
  const reference = only?.kind === 'reference' ? only.reference : null
  return {
    text: secretParts.join(''),
    whole: reference !== null && /^[A-Z0-9_]+(:-|$)/.test(reference),
    file: reference?.startsWith('file:') === true ? reference.slice('file:'.length) : null,
    changed: true,
    problems,
  }
}

/**
 * Takes the text of a stored resource, in which everything except secrets is filled in already. In fields
 * that allow secrets, `$${` stands for a literal `${`.
 */
export function filledAlready(
  source: string,
  { secretsAllowed }: Pick<ReferenceSources, 'secretsAllowed'>,
): FilledText {
  const problems = [...source.matchAll(/\$\$\{|\$\{([^}]*)\}?/g)].flatMap(([written, reference]) => {
    if (reference === undefined) return []
    const [, name] = /^secret:(.*)$/s.exec(reference) ?? []
    if (name === undefined && !secretsAllowed) return []
    if (name === undefined)
      return [`${written} is no secret; for a literal \`\${\` write \`$\${\` in this field`]
    const found = secret(name, { secretsAllowed })
    return 'problem' in found ? [found.problem] : []
  })
  return { text: source, whole: false, file: null, changed: false, problems }
}

type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'reference'; readonly reference: string }

/** Splits a text at its references. A `${` that never closes counts as a reference to the end of the text. */
function splitReferences(source: string): Part[] {
  const parts: Part[] = []
  const pattern = /\$\$\{|\$\{([^}]*)(\}|$)/g
  let end = 0
  for (const match of source.matchAll(pattern)) {
    if (match.index > end) parts.push({ kind: 'text', text: source.slice(end, match.index) })
    end = match.index + match[0].length
    if (match[0] === '$${') parts.push({ kind: 'text', text: '${' })
    else if (match[2] === '}') parts.push({ kind: 'reference', reference: match[1] ?? '' })
    else parts.push({ kind: 'reference', reference: `${match[1] ?? ''}\n` })
  }
  if (end < source.length) parts.push({ kind: 'text', text: source.slice(end) })
  return parts
}

function resolve(
  reference: string,
  sources: ReferenceSources,
): { readonly text: string } | { readonly problem: string } | { readonly secret: string } {
  if (reference.endsWith('\n')) {
    return {
      problem: `\`\${${shorten(reference)}\` has no closing \`}\`; for a literal \`\${\` write \`$\${\``,
    }
  }
  if (reference.startsWith('file:')) return sources.readFile(reference.slice('file:'.length))
  if (reference.startsWith('secret:')) return secret(reference.slice('secret:'.length), sources)
  const [, name, fallback] = /^([A-Z_][A-Z0-9_]*)(?::-([\s\S]*))?$/.exec(reference) ?? []
  if (name === undefined) {
    return {
      problem:
        `\`\${${shorten(reference)}}\` is not a reference: wanted \`\${NAME}\` (upper case, digits, _), \`\${NAME:-default}\`, ` +
        '`${file:PATH}` or `${secret:NAME}`; for a literal `${` write `$${`',
    }
  }
  // Variables of Sluice itself may be secrets, and a request body could send them anywhere. A secret goes
  // only where its operator allows.
  if (name.startsWith('SLUICE_')) return { problem: ownVariable(name) }
  const { env } = sources
  const value = env?.[name]
  if (fallback !== undefined) return { text: value === undefined || value === '' ? fallback : value }
  if (value !== undefined) return { text: value }
  if (env === null)
    return {
      problem: `\`\${${name}}\`: a server fills in no variables; write the value, give a default (\`\${${name}:-…}\`), or \`sluice apply\` the file where the variable is set`,
    }
  const near = nearestName(
    name,
    Object.keys(env).filter(candidate => /^(?!SLUICE_)[A-Z_][A-Z0-9_]*$/.test(candidate)),
  )
  const hint = near === null ? '' : ` (there is \`${near}\`)`
  return {
    problem: `the environment variable \`${name}\` is not set${hint}; set it, or give a default: \`\${${name}:-…}\``,
  }
}

function ownVariable(name: string): string {
  const [, secretName] = /^SLUICE_SECRET_([A-Z0-9_]*[A-Z0-9])$/.exec(name) ?? []
  const instead =
    secretName === undefined
      ? 'write the value, or give it to a variable of another name'
      : `write \`\${secret:${secretName.toLowerCase().replaceAll('_', '-')}}\`, where a secret may stand`
  return `\`\${${name}}\`: variables that begin with SLUICE_ are those of Sluice itself and may not be read; ${instead}`
}

function secret(name: string, { secretsAllowed }: Pick<ReferenceSources, 'secretsAllowed'>) {
  if (!secretsAllowed)
    return { problem: `\`\${secret:${shorten(name)}}\` is not allowed here: ${SECRETS_PLACE}` }
  if (NAME_PATTERN.test(name)) return { secret: `\${secret:${name}}` }
  return {
    problem: `\`${shorten(name)}\` is not the name of a secret: wanted lower-case letters, digits and dashes`,
  }
}

function shorten(text: string): string {
  const line = text.trim().replaceAll(/\s+/g, ' ')
  return line.length > 40 ? `${line.slice(0, 39)}…` : line
}
