/** The OpenAPI 3.1 document of the API, made from the schemas of its routes. */
import { problem } from '@sluice/contracts/api'
import { API_BASE } from '@sluice/contracts/api/operations'
import { z } from 'zod'
import { PROBLEM_STATUSES, PROBLEM_TYPE } from './problems.ts'
import type { Route } from './route.ts'

/** This version grows when the API can do more. `v1` in the paths grows when clients have to change. */
const API_VERSION = '1.0'

type Json = z.core.JSONSchema.JSONSchema

export function openApiDocument(routes: readonly Route[]): unknown {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const path = `${API_BASE}${route.path.replaceAll(/:(\w+)/g, '{$1}')}`
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sluice',
      version: API_VERSION,
      description: 'Row changes become HTTP requests. This API asks for runs, and shows what they did.',
    },
    servers: [{ url: '/', description: 'The server that gave this document' }],
    paths,
    components: {
      schemas: { Problem: jsonSchema(problem, 'output') },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer' },
        session: { type: 'apiKey', in: 'cookie', name: '__Host-sluice-session' },
      },
    },
    security: [{ token: [] }, { session: [] }, {}],
  }
}

/** A list of any rows: the file says more than the document of the API. */
const FILE = { schema: { type: 'array' } }

function operationOf(route: Route): unknown {
  const { id, summary, scope, params, query, body, status, answer, streams, isFile } = route
  const document = { schema: jsonSchema(answer, 'output') }
  const events = { schema: { type: 'string', description: 'Events `run`; the data of each is a run.' } }
  const refused = {
    description: 'A problem',
    content: { [PROBLEM_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
  }
  return {
    operationId: id,
    summary,
    ...(scope === 'anyone' ? { security: [{}] } : {}),
    parameters: [...parametersOf(params, 'path'), ...parametersOf(query, 'query')],
    ...(body === null
      ? {}
      : {
          requestBody: {
            // A missing body means the same as an empty one.
            required: !body.safeParse({}).success,
            content: { 'application/json': { schema: jsonSchema(body, 'input') } },
          },
        }),
    responses: {
      [status]: {
        description: 'The answer',
        ...(status === 202
          ? { headers: { Location: { description: 'The run', schema: { type: 'string' } } } }
          : {}),
        content: isFile
          ? { 'text/csv': document, 'application/json': FILE }
          : streams
            ? { 'text/event-stream': events }
            : { 'application/json': document },
      },
      ...Object.fromEntries(PROBLEM_STATUSES.map(refusal => [refusal, refused])),
    },
  }
}

function parametersOf(schema: z.ZodType, where: 'path' | 'query'): unknown[] {
  const { properties = {}, required = [] } = jsonSchema(schema, 'input')
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: where,
    required: where === 'path' || required.includes(name),
    schema: property,
  }))
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...made } = z.toJSONSchema(schema, {
    ...{ io, target: 'draft-2020-12' },
    // The pattern describes the text of the number, not the number.
    override: ({ jsonSchema: described }) => {
      if (described.type === 'integer') delete described.pattern
    },
  })
  return made
}
