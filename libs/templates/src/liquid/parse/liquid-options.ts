import { Liquid, defaultOperators } from 'liquidjs'

function refuse(): never {
  throw new Error('templates read no files')
}

/**
 * The one liquidjs engine. Its tokenizer and its filters are used, never its tags or its renderer. Every way
 * out of the sandbox is closed all the same. Dates are shown in UTC unless they name a zone, so that every
 * machine renders the same bytes.
 */
export const LIQUID = new Liquid({
  ownPropertyOnly: true,
  strictFilters: true,
  // Our own operators decide what they mean. These names only say which operators exist.
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
