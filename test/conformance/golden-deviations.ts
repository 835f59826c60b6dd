/**
 * The cases of Golden Liquid in which Sluice differs from Shopify on purpose, each with the reason.
 * docs/reference/templates.md tells users the same. `golden-liquid.test.ts` checks that the list is exact.
 */

/** Leniency that would hide a mistake: a row would be sent with another text than its author meant. */
const MISTAKE = 'a mistake of the template, which Shopify passes over'
/** Features that Shopify does not have and Sluice has. */
const MORE = 'Shopify has no such thing; we have'
const NOTHING_IN_LIST = 'nothing in a list is passed over; with it, Shopify finds nothing in all of the list'

export const GOLDEN_DEVIATIONS: ReadonlyMap<string, string> = new Map([
  ['output, chained identifier dot separated index', `${MORE}: list.0 is list[0]`],
  ['filters, at least, argument string not a number', `${MISTAKE}: text that is no number`],
  ['filters, minus, arg string not a number', `${MISTAKE}: text that is no number`],
  ['filters, plus, arg string not a number', `${MISTAKE}: text that is no number`],
  ['filters, round, argument is a string', `${MISTAKE}: text that is no number`],
  ['filters, date, too many arguments', `${MORE}: a second argument names the zone`],
  [
    'filters, divided by, integer division',
    'a quotient keeps its fraction; `true` as second argument rounds down',
  ],
  ['filters, divided by, issue', 'a quotient keeps its fraction; `true` as second argument rounds down'],
  ['filters, find, array of hashes, with a nil', NOTHING_IN_LIST],
  ['filters, find, mixed array, default value', NOTHING_IN_LIST],
  ['filters, find index, mixed array, default value', NOTHING_IN_LIST],
  ['filters, has, array of hashes, with a nil', NOTHING_IN_LIST],
  ['filters, has, mixed array, default value', NOTHING_IN_LIST],
  ['filters, reject, array containing null, default value', NOTHING_IN_LIST],
  ['filters, has, array of ints, default value', 'a number has no properties; in Ruby they are its bits'],
  ['tags, case, unexpected when token', `${MISTAKE}: "and" between the values of a when`],
  ['tags, comment, incomplete tags are not parsed', `${MORE}: a comment may hold anything`],
  ['tags, comment, malformed tags are not parsed', `${MORE}: a comment may hold anything`],
  ['tags, echo, nothing to echo', `${MISTAKE}: an echo of nothing`],
  ['tags, for, forloop no such attribute', `${MISTAKE}: what forloop does not have`],
  ['tags, if, else tag expressions are ignored', `${MISTAKE}: text behind an else`],
  ['tags, if, extra else blocks are ignored', `${MISTAKE}: a second else`],
  ['tags, if, extra elsif blocks are ignored', `${MISTAKE}: an elsif behind the else`],
  ['tags, unless, else tag expressions are ignored', `${MISTAKE}: text behind an else`],
  ['tags, unless, extra else blocks are ignored', `${MISTAKE}: a second else`],
  ['tags, unless, extra elsif blocks are ignored', `${MISTAKE}: an elsif behind the else`],
  ['tags, if, not is not a valid operator', `${MORE}: not`],
  ['tags, if, string greater than int', `${MORE}: text that is a number is less or more than one`],
])
