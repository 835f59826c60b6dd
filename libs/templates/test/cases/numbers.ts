import { Decimal } from '@sluice/contracts/values'
import type { RenderCase } from './case.ts'

const BIG = 9007199254740993n
const PRICE = new Decimal('12.50')

/** Numbers keep their digits. */
export const NUMBER_CASES: readonly RenderCase[] = [
  {
    it: 'prints numbers',
    liquid: '{{ a }} {{ b }} {{ c }}',
    row: { a: 5, b: -0.1, c: 1e21 },
    gives: '5 -0.1 1e+21',
  },
  { it: 'prints 64-bit integers', liquid: '{{ v }}', row: { v: BIG }, gives: '9007199254740993' },
  {
    it: 'prints integers of 38 digits',
    liquid: '{{ v }}',
    row: { v: -(10n ** 37n) },
    gives: '-10000000000000000000000000000000000000',
  },
  { it: 'prints decimals with their zeros', liquid: '{{ v }}', row: { v: PRICE }, gives: '12.50' },
  {
    it: 'prints NaN and infinities by name',
    liquid: '{{ a }} {{ b }}',
    row: { a: Number.NaN, b: -Infinity },
    gives: 'NaN -Infinity',
  },
  {
    it: 'writes numbers in JSON',
    liquid: '{{ v | json }}',
    row: { v: [5, -0.1, 1e21, 1e-7] },
    gives: '[5,-0.1,1e+21,1e-7]',
  },
  { it: 'writes minus zero in JSON', liquid: '{{ v | json }}', row: { v: -0 }, gives: '-0' },
  {
    it: 'writes 64-bit integers in JSON as bare numbers',
    liquid: '{{ v | json }}',
    row: { v: BIG },
    gives: '9007199254740993',
  },
  {
    it: 'writes decimals in JSON as bare numbers',
    liquid: '{{ v | json }}',
    row: { v: [PRICE, new Decimal('-0.000000000000000000000000000001')] },
    gives: '[12.50,-0.000000000000000000000000000001]',
  },
  {
    it: 'rejects NaN in JSON',
    json: '{"v":{{ v | json }}}',
    row: { v: Number.NaN },
    error:
      'body.json: NaN cannot be written in JSON, which knows finite numbers only; use {% if %} to send something else (line 1, column 6 of the template)',
  },
  {
    it: 'rejects infinity deep in JSON',
    json: '{{ v | json }}',
    row: { v: [{ a: Infinity }] },
    error:
      'body.json: Infinity cannot be written in JSON, which knows finite numbers only; use {% if %} to send something else (line 1, column 1 of the template)',
  },
  {
    it: 'rejects a decimal that JSON has no form for',
    json: '{{ v | json }}',
    row: { v: new Decimal('NaN') },
    error: 'body.json: the decimal NaN cannot be written as a JSON number (line 1, column 1 of the template)',
  },
  { it: 'adds numbers', liquid: '{{ 1 | plus: 2 }} {{ 0.1 | plus: 0.2 }}', gives: '3 0.3' },
  {
    it: 'adds to 64-bit integers exactly',
    liquid: '{{ v | plus: 1 }}',
    row: { v: BIG },
    gives: '9007199254740994',
  },
  { it: 'subtracts decimals exactly', liquid: '{{ v | minus: 0.1 }}', row: { v: PRICE }, gives: '12.40' },
  { it: 'multiplies decimals exactly', liquid: '{{ v | times: 3 }}', row: { v: PRICE }, gives: '37.50' },
  {
    it: 'multiplies two decimals exactly',
    liquid: '{{ v | times: v }}',
    row: { v: PRICE },
    gives: '156.2500',
  },
  {
    it: 'calculates remainders exactly',
    liquid: '{{ v | modulo: 10 }} {{ 7 | modulo: 3 }} {{ -7 | modulo: 3 }}',
    row: { v: BIG },
    gives: '3 1 2',
  },
  {
    it: 'divides as numbers',
    liquid: '{{ 10 | divided_by: 4 }} {{ v | divided_by: 4 }}',
    row: { v: PRICE },
    gives: '2.5 3.125',
  },
  {
    it: 'drops the remainder of a division if the second argument is true',
    liquid: '{{ 10 | divided_by: 4, true }}',
    gives: '2',
  },
  { it: 'adds text that is a number', liquid: "{{ '5' | plus: '2' }}", gives: '7' },
  {
    it: 'takes a value that is not a number as 0',
    liquid: "{{ 'x' | plus: 1 }} {{ nil | plus: 1 }} {{ row.none | plus: 2 }}",
    gives: '1 1 2',
  },
  {
    it: 'takes the absolute value',
    liquid: '{{ a | abs }} {{ b | abs }} {{ c | abs }}',
    row: { a: -5, b: -BIG, c: new Decimal('-1.20') },
    gives: '5 9007199254740993 1.20',
  },
  { it: 'rounds', liquid: '{{ 1.005 | round: 2 }} {{ -2.5 | round }} {{ 2.4 | round }}', gives: '1.01 -3 2' },
  {
    it: 'rounds decimals exactly',
    liquid: '{{ v | round: 1 }} {{ v | round }} {{ v | floor }} {{ v | ceil }}',
    row: { v: new Decimal('-2.55') },
    gives: '-2.6 -3 -3 -2',
  },
  {
    it: 'leaves integers when rounding',
    liquid: '{{ v | round }} {{ v | ceil }} {{ v | floor }}',
    row: { v: BIG },
    gives: '9007199254740993 9007199254740993 9007199254740993',
  },
  {
    it: 'bounds numbers',
    liquid: '{{ 5 | at_least: 7 }} {{ 5 | at_most: 3 }} {{ v | at_most: 12 }} {{ v | at_least: 13 }}',
    row: { v: PRICE },
    gives: '7 3 12 13',
  },
  {
    it: 'makes integers',
    liquid: '{{ a | to_integer }} {{ b | to_integer }} {{ "9007199254740993" | to_integer }}',
    row: { a: PRICE, b: BIG },
    gives: '12 9007199254740993 9007199254740993',
  },
  {
    it: 'compares 64-bit integers',
    liquid: '{% if v > 9007199254740992 %}more{% endif %}',
    row: { v: BIG },
    gives: 'more',
  },
  {
    it: 'compares decimals by worth, not as text',
    liquid: '{% if a < b %}less{% endif %}',
    row: { a: new Decimal('9.5'), b: new Decimal('10.5') },
    gives: 'less',
  },
  {
    it: 'finds a decimal equal to a number',
    liquid: '{% if v == 12.5 %}equal{% endif %}',
    row: { v: PRICE },
    gives: 'equal',
  },
  {
    it: 'finds decimals of different scale equal',
    liquid: '{% if a == b %}equal{% endif %}',
    row: { a: PRICE, b: new Decimal('12.5') },
    gives: 'equal',
  },
  {
    it: 'finds no number equal to text',
    liquid: "{% if v == '12.50' %}equal{% else %}different{% endif %}",
    row: { v: PRICE },
    gives: 'different',
  },
  {
    it: 'finds null neither less nor more',
    liquid: '{% if v < 5 %}less{% endif %}{% if v > 5 %}more{% endif %}',
    row: { v: null },
    gives: '',
  },
  {
    it: 'sorts decimals by worth',
    liquid: "{{ v | sort | join: ' ' }}",
    row: { v: [new Decimal('10.5'), new Decimal('9.5'), 10] },
    gives: '9.5 10 10.5',
  },
  { it: 'adds up lists', liquid: '{{ v | sum }}', row: { v: [1, 2, 3.5] }, gives: '6.5' },
]
