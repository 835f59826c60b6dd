/** SQL, with the tables and columns that it may name. */
import { closeBrackets } from '@codemirror/autocomplete'
import { sql } from '@codemirror/lang-sql'
import type { Syntax } from '../code-editor.tsx'

export const syntax: Syntax = ({ words = [], tables = {} }) => {
  const schema: { [table: string]: string[] } = {}
  for (const [table, columns] of Object.entries(tables)) schema[table] = [...columns]
  for (const word of words) schema[word] ??= []
  return [closeBrackets(), sql({ schema })]
}
