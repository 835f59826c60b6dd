import { Tokenizer, TypeGuards } from 'liquidjs'
import { LIQUID_OPTIONS } from './liquid-options.ts'

/** liquidjs's tokenizer, with the white space that Shopify allows before `.name` and `[…]`. */
export class ExpressionTokenizer extends Tokenizer {
  /** Reads the text from the first place of the range up to the second. */
  constructor(text: string, range?: [number, number]) {
    super(text, LIQUID_OPTIONS.operators, undefined, range)
  }

  override readValue(): ReturnType<Tokenizer['readValue']> {
    const value = super.readValue()
    if (value === undefined || !TypeGuards.isPropertyAccessToken(value)) return value
    for (;;) {
      const end = this.p
      this.skipBlank()
      const isMore = this.p > end && /^(\[|\.\w)/.test(this.input.slice(this.p, this.p + 2))
      const rest = isMore ? this.readScopeValue() : undefined
      if (rest === undefined || !TypeGuards.isPropertyAccessToken(rest)) {
        this.p = end
        return value
      }
      value.props.push(...rest.props)
      value.end = rest.end
    }
  }
}
