/** `sluice schema`. */
import { RESOURCE_SCHEMAS } from '@sluice/contracts/resources'
import { environmentSchema } from '@sluice/project/decode/environment-file'
import { projectSettings } from '@sluice/project/decode/project-settings'
import { z } from 'zod'
import type { Command } from '../command.ts'
import { EXIT } from '../exit-codes.ts'

export const command: Command = {
  description:
    'Prints the JSON Schema of project files, so that an editor completes fields and marks mistakes. Editors with the YAML language server (VS Code, ' +
    'Neovim, …) take it from a comment at the top of a file:\n\n  # yaml-language-server: $schema=./sluice.schema.json',
  positionals: [],
  options: {},
  anywhere: true,
  examples: [{ command: 'sluice schema > sluice.schema.json', does: 'write it beside your files' }],
  async run({ stdout }) {
    stdout.write(`${JSON.stringify(resourceJsonSchema(), null, 2)}\n`)
    return EXIT.success
  },
}

/** The JSON Schema of one document of a project file. It is draft 7, which editors support best. */
export function resourceJsonSchema(): object {
  const documents = [...Object.values(RESOURCE_SCHEMAS), projectSettings, environmentSchema]
    .flatMap((schema): readonly z.ZodType[] => (schema instanceof z.ZodUnion ? schema.options : [schema]))
    .map(schema =>
      z.toJSONSchema(schema, {
        target: 'draft-7',
        io: 'input',
        override: ({ jsonSchema }) => allowScalarsAndReferences(jsonSchema),
      }),
    )
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Sluice resource',
    oneOf: documents.map(({ $schema, definitions, ...document }) => document),
    // A schema that contains itself is referred to by name, from the root.
    definitions: Object.fromEntries(
      documents.flatMap(({ definitions }) => Object.entries(definitions ?? {})),
    ),
  }
}

/**
 * Makes the schema accept what the decoder accepts. Where text is wanted, the decoder takes any scalar as the
 * text in the file. A reference may stand for a whole text, number or boolean.
 */
function allowScalarsAndReferences(schema: z.core.JSONSchema.BaseSchema): void {
  if (schema.const !== undefined || schema.enum !== undefined) return
  if (schema.type === 'string' && schema.pattern === undefined) schema.type = ['string', 'number', 'boolean']
  if (schema.type === 'string' && schema.pattern !== undefined) schema.pattern = `(${schema.pattern})|\\$\\{`
  if (schema.type !== 'integer') return
  const number: z.core.JSONSchema.BaseSchema = { type: 'integer' }
  if (schema.minimum !== undefined) number.minimum = schema.minimum
  if (schema.maximum !== undefined) number.maximum = schema.maximum
  delete schema.type
  delete schema.minimum
  delete schema.maximum
  schema.anyOf = [number, { type: 'string', pattern: '^\\$\\{[A-Z0-9_]+(:-.*)?\\}$' }]
}
