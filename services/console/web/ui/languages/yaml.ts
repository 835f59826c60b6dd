import { closeBrackets } from '@codemirror/autocomplete'
import { yaml } from '@codemirror/lang-yaml'
import type { Syntax } from '../code-editor.tsx'

export const syntax: Syntax = () => [closeBrackets(), yaml()]
