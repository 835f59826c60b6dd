/** Writes the types of `sluice/api` from the table of operations and their schemas. */
import * as views from '@sluice/contracts/api'
import { SHAPES, type Shape } from '@sluice/contracts/api/operation-shapes'
import { OPERATION_NAMES, OPERATIONS, type OperationName } from '@sluice/contracts/api/operations'
import { format } from 'prettier'
import { z } from 'zod'
import { isOfClients } from './api-client.ts'

type Json = z.core.JSONSchema.BaseSchema

const HEAD = `/** A client of Sluice's API. Written from its table of operations. */

export interface Connection {
  /** The address of \`sluice up\` or of a console, such as \`http://127.0.0.1:4747\`. */
  readonly url: string
  readonly token?: string
}

export interface CallOptions {
  readonly signal?: AbortSignal
}

/** The server refused the call, or does not speak this API. */
export class SluiceApiError extends Error {
  /** Of the HTTP answer. */
  readonly status: number
  /** Such as \`not-found\`; \`unreachable\` if the answer is none of Sluice. */
  readonly code: string
  /** True if the same call may succeed later though nobody changes anything. */
  readonly retryable: boolean
  /** The places in documents that are wrong, each with its message. */
  readonly errors: readonly { readonly file?: string; readonly line?: number; readonly column?: number; readonly field?: string; readonly message: string }[]
}

/** Returns a client. It connects to nothing before a method is called. */
export function connect(connection: Connection): Sluice
`

/** Returns the text of the `.d.ts` file. */
export async function apiTypes(): Promise<string> {
  const names = OPERATION_NAMES.filter(name => isOfClients(OPERATIONS[name]))
  const named = answerNames(names)
  const methods = names.map(name => methodText(name, named))
  const parts = [
    HEAD,
    `export interface Sluice {\n${methods.join('\n')}\n}\n`,
    ...answerTypes(named).map(([name, text]) => `export type ${name} = ${text}\n`),
  ]
  return await format(parts.join('\n'), { parser: 'typescript', semi: false, singleQuote: true })
}

function methodText(name: OperationName, named: ReadonlyMap<z.ZodType, string>): string {
  const { summary, answer, params, query, body, document }: Shape = SHAPES[name]
  const parts = [params, query, body].filter(part => part !== undefined)
  const fields = parts.flatMap(part => fieldTexts(inputSchema(part)))
  if (document !== undefined) fields.push(`readonly document: ${typeText(inputSchema(document))}`)
  const isOptional =
    parts.every(part => (inputSchema(part).required ?? []).length === 0) && document === undefined
  const input = fields.length === 0 ? 'Record<never, never>' : `{\n${fields.join('\n')}\n}`
  const answered = named.get(answer) ?? 'unknown'
  const returned = OPERATIONS[name].does === 'follow' ? `AsyncGenerator<${answered}>` : `Promise<${answered}>`
  return `${commentOf(`${summary}.`)}${name}(input${isOptional ? '?' : ''}: ${input}, options?: CallOptions): ${returned}`
}

/** Returns the name of each schema: the name of its view, or of the first operation that answers with it. */
function answerNames(names: readonly OperationName[]): ReadonlyMap<z.ZodType, string> {
  const exported = Object.entries(views).flatMap(([name, value]): [z.ZodType, string][] =>
    value instanceof z.ZodType ? [[value, inPascal(name)]] : [],
  )
  const answers = names.map((name): [z.ZodType, string] => [SHAPES[name].answer, `${inPascal(name)}Answer`])
  return new Map([...answers, ...exported])
}

function inPascal(name: string): string {
  return `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`
}

function answerTypes(named: ReadonlyMap<z.ZodType, string>): [name: string, text: string][] {
  const registry = z.registry<{ id: string }>()
  for (const [schema, id] of named) registry.add(schema, { id })
  const { schemas } = z.toJSONSchema(registry, { io: 'output', uri: id => id, unrepresentable: 'any' })
  return Object.entries(schemas).map(([name, schema]) => [name, typeText(schema)])
}

function inputSchema(schema: z.ZodType): Json {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
}

function fieldTexts({ properties = {}, required = [] }: Json): string[] {
  return Object.entries(properties).map(([name, schema]) => {
    const described = typeof schema === 'object' ? schema.description : undefined
    const comment = described === undefined ? '' : commentOf(described)
    const key = /^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name)
    return `${comment}readonly ${key}${required.includes(name) ? '' : '?'}: ${typeText(schema)}`
  })
}

/** A text may contain a cron expression, whose characters may end a comment. */
function commentOf(text: string): string {
  return `/** ${text.replaceAll('*/', '*\\/')} */\n`
}

/** The type that a JSON Schema of zod stands for. */
function typeText(schema: z.core.JSONSchema._JSONSchema | undefined): string {
  if (schema === undefined || typeof schema === 'boolean') return 'unknown'
  const { $ref, const: constant, enum: values, anyOf, oneOf, allOf, type } = schema
  if ($ref !== undefined) return $ref
  if (constant !== undefined) return JSON.stringify(constant)
  // A query has booleans as text, which the client writes.
  if (values?.length === 2 && values.includes('true') && values.includes('false')) return 'boolean'
  if (values !== undefined) return values.map(value => JSON.stringify(value)).join(' | ')
  const choices = anyOf ?? oneOf
  if (choices !== undefined) return [...new Set(choices.map(typeText))].join(' | ')
  if (allOf !== undefined) return allOf.map(part => `(${typeText(part)})`).join(' & ')
  switch (type) {
    case 'string':
    case 'boolean':
    case 'null':
      return type
    case 'number':
    case 'integer':
      return 'number'
    case 'array':
      return `readonly (${Array.isArray(schema.items) ? 'unknown' : typeText(schema.items)})[]`
    case 'object':
      return objectText(schema)
    default:
      return 'unknown'
  }
}

function objectText(schema: Json): string {
  const fields = fieldTexts(schema)
  if (fields.length > 0) return `{\n${fields.join('\n')}\n}`
  const values =
    typeof schema.additionalProperties === 'object' ? typeText(schema.additionalProperties) : 'unknown'
  return `{ readonly [name: string]: ${values} }`
}
