/**
 * The nodes of a template. `parse-template.ts` makes them, and `compile-template.ts` and `template-names.ts`
 * use them. Expressions are liquidjs's tokens.
 */
import {
  TypeGuards,
  type FilteredValueToken,
  type PropertyAccessToken,
  type RangeToken,
  type Tokenizer,
  type ValueToken,
} from 'liquidjs'

export type Filtered = FilteredValueToken
export type FilterCall = FilteredValueToken['filters'][number]
export type FilterArgument = FilterCall['args'][number]
export type { PropertyAccessToken, RangeToken, ValueToken }

/** Returns the name or index of a property that is written out; undefined for one that is calculated. */
export function writtenName(property: PropertyAccessToken['props'][number]): string | number | undefined {
  const { isWordToken, isQuotedToken, isNumberToken } = TypeGuards
  const isWritten = isWordToken(property) || isQuotedToken(property) || isNumberToken(property)
  return isWritten ? property.content : undefined
}

export interface LoopOptions {
  readonly offset: ValueToken | 'continue' | null
  readonly limit: ValueToken | null
  readonly reversed: boolean
}

export interface Branch {
  readonly negated: boolean
  readonly condition: Filtered
  readonly body: readonly TemplateNode[]
}

export interface CaseBranch {
  /** Null for an `{% else %}`. */
  readonly values: readonly ValueToken[] | null
  readonly body: readonly TemplateNode[]
}

/** `at` is the place in the template's text where the node begins. */
export type TemplateNode =
  | {
      readonly kind: 'text'
      readonly at: number
      readonly text: string
      /** True for text in `{% raw %}`. */
      readonly isRaw?: boolean
    }
  | { readonly kind: 'output'; readonly at: number; readonly value: Filtered }
  | { readonly kind: 'assign'; readonly at: number; readonly name: string; readonly value: Filtered }
  | {
      readonly kind: 'capture'
      readonly at: number
      readonly name: string
      readonly body: readonly TemplateNode[]
    }
  | {
      readonly kind: 'if'
      readonly at: number
      readonly branches: readonly Branch[]
      readonly otherwise: readonly TemplateNode[]
    }
  | {
      readonly kind: 'case'
      readonly at: number
      readonly value: Filtered
      readonly branches: readonly CaseBranch[]
    }
  | { readonly kind: 'ifchanged'; readonly at: number; readonly body: readonly TemplateNode[] }
  | {
      readonly kind: 'for'
      readonly at: number
      readonly variable: string
      readonly collection: ValueToken
      readonly options: LoopOptions
      readonly body: readonly TemplateNode[]
      readonly otherwise: readonly TemplateNode[]
    }
  | {
      readonly kind: 'tablerow'
      readonly at: number
      readonly variable: string
      readonly collection: ValueToken
      readonly options: LoopOptions
      readonly columns: ValueToken | null
      readonly body: readonly TemplateNode[]
    }
  | {
      readonly kind: 'cycle'
      readonly at: number
      readonly group: ValueToken | null
      readonly values: readonly Filtered[]
      /** Cycles with the same signature count together. */
      readonly signature: string
    }
  | { readonly kind: 'counter'; readonly at: number; readonly name: string; readonly step: 1 | -1 }
  | { readonly kind: 'jump'; readonly at: number; readonly to: 'break' | 'continue' }

/** A template without mistakes. */
export interface ParsedTemplate {
  readonly text: string
  readonly nodes: readonly TemplateNode[]
}

/** A tag, or a line of `{% liquid %}`. Its tokenizer is behind the tag's name. */
export interface TagSource {
  readonly name: string
  readonly args: string
  readonly begin: number
  readonly tokenizer: Tokenizer
}

export interface Block {
  readonly nodes: TemplateNode[]
  /** The tag that ended the block; null at the end of the template. */
  readonly end: TagSource | null
}

/** Reads the nodes inside of tags. */
export interface BlockReader {
  /**
   * Reads nodes up to a tag of one of the names, and that tag. Throws a `TemplateFault` if there is none and
   * `opener` is given, which is the tag that has to be closed.
   */
  readUntil(names: ReadonlySet<string>, opener: TagSource | null): Block
  /** Skips all tokens up to the tag of this name that closes `opener`. */
  skipPast(name: string, opener: TagSource): void
  /** Reads the nodes of the tags within one tag. */
  readNested(tags: readonly TagSource[], opener: TagSource): readonly TemplateNode[]
}
