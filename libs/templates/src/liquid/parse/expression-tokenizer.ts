import { Tokenizer, TypeGuards, Liquid, defaultOperators } from 'liquidjs'

function refuse(): never {
  throw new Error('templates read no files')
}

/**
 * The one liquidjs engine. We use its tokenizer and its filters, never its tags or its renderer. Access to
 * files is disabled nevertheless. Dates without a zone are in UTC, so that every machine renders the same
 * bytes.
 */
export const LIQUID = new Liquid({
  ownPropertyOnly: true,
  strictFilters: true,
  // Only the names count. Our own functions decide what the operators do.
  operators: { ...defaultOperators, '<>': () => false },
  timezoneOffset: 0,
  preserveTimezones: true,
  locale: 'en-US',
  relativeReference: false,
  dynamicPartials: true,
  fs: {
    exists: refuse,
    existsSync: () => false,
    readFile: refuse,
    readFileSync: refuse,
    resolve: refuse,
    contains: refuse,
    containsSync: () => false,
  },
})

export const LIQUID_OPTIONS = LIQUID.options

/** Reads as liquidjs's tokenizer does, and allows white space before `.name` and `[…]`, as Shopify does. */
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
