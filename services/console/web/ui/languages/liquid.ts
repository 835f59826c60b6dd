/** Templates: Liquid in JSON, in XML and in plain text. */
import { json } from '@codemirror/lang-json'
import { liquid } from '@codemirror/lang-liquid'
import { xml } from '@codemirror/lang-xml'
import type { Syntax } from '../code-editor.tsx'
import { LIQUID_EDITING, liquidCompletion } from '../liquid-editing.ts'

/**
 * Liquid's own completion fits HTML, but neither `row.` nor the braces of JSON. Quotes that close by
 * themselves would be left over where Liquid and another language meet, so only the braces of templates
 * close.
 */
export const syntax: Syntax = ({ language, words = [] }) => {
  const base = language === 'json' ? json() : language === 'xml' ? xml() : undefined
  const { language: parsed } = liquid(base === undefined ? {} : { base })
  const completes = parsed.data.of({ autocomplete: liquidCompletion(words, language === 'json') })
  return [LIQUID_EDITING, parsed, completes]
}
