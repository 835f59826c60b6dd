import { Decimal } from '@sluice/contracts/values'
import type { RenderCase } from './case.ts'

const BIG = 9_007_199_254_740_993n
const D = (text: string): Decimal => new Decimal(text)

/** No digit is lost, whatever kind of number it is in; values are equal by what they are worth. */
export const EXACTNESS_CASES: readonly RenderCase[] = [
  { it: 'adds up 64-bit integers', liquid: '{{ v | sum }}', row: { v: [BIG, 1] }, gives: '9007199254740994' },
  {
    it: 'adds up decimals and doubles in decimal',
    liquid: '{{ a | sum }} {{ b | sum }} {{ c | sum }}',
    row: { a: [D('0.10'), D('0.20')], b: [0.1, 0.2], c: [D('0.10'), 0.2, BIG] },
    gives: '0.30 0.3 9007199254740993.30',
  },
  {
    it: 'adds up a property, in lists of lists, too',
    liquid: "{{ v | sum: 'p' }}",
    row: { v: [{ p: BIG }, [{ p: D('0.5') }, { q: 1 }]] },
    gives: '9007199254740993.5',
  },
  {
    it: 'adds to the largest safe integer',
    liquid: '{{ 9007199254740991 | plus: 2 }} {{ v | times: v }}',
    row: { v: 3_037_000_500 },
    gives: '9007199254740993 9223372037000250000',
  },
  {
    it: 'reads integers in the template with all digits',
    liquid:
      '{{ 9007199254740993 }} {{ 9007199254740993 | minus: 1 }} {% if v == 9007199254740993 %}same{% endif %}',
    row: { v: BIG },
    gives: '9007199254740993 9007199254740992 same',
  },
  {
    it: 'distinguishes neighbouring 64-bit integers',
    liquid:
      '{% if v == 9007199254740992 %}same{% else %}other{% endif %}{% if v > 9007199254740992 %} more{% endif %}',
    row: { v: BIG },
    gives: 'other more',
  },
  {
    it: 'calculates fractions in decimal',
    liquid: '{{ 10.1 | minus: 2.2 }} {{ v | times: 3 }} {{ v | plus: 0.2 }} {{ 10.1 | modulo: v }}',
    row: { v: 0.1 },
    gives: '7.9 0.3 0.3 0.0',
  },
  {
    it: 'prints a number with a point as it is written',
    liquid: '{{ 5.0 }} {{ 5 }} {{ 2.50 }}',
    gives: '5.0 5 2.5',
  },
  {
    it: 'divides 64-bit integers and decimals exactly',
    liquid:
      '{{ a | divided_by: 3 }} {{ a | divided_by: 2 }} {{ b | divided_by: 0.3 }} {{ b | divided_by: 4, true }}',
    row: { a: BIG, b: D('12.60') },
    gives: '3002399751580331 4503599627370496.5 42.0 3',
  },
  {
    it: 'keeps the whole part of a quotient without an end',
    liquid: '{{ a | divided_by: 7 }} {{ 10 | divided_by: 3 }} {{ b | divided_by: 7 }}',
    row: { a: BIG, b: D('-9007199254740993.25') },
    gives: '1286742750677284.714286 3.3333333333333335 -1286742750677284.75',
  },
  {
    it: 'rejects a division by nothing',
    json: '{{ 1 | divided_by: v }}',
    row: { v: null },
    error:
      'body.json: a division by zero has no result; is the divisor null, or no number? (line 1, column 1 of the template)',
  },
  {
    it: 'rejects a remainder by zero',
    json: '{{ 1 | modulo: v }}',
    row: { v: D('0.00') },
    error:
      'body.json: a division by zero has no result; is the divisor null, or no number? (line 1, column 1 of the template)',
  },
  {
    it: 'takes remainders of 64-bit integers',
    liquid: '{{ v | modulo: 10 }} {{ v | modulo: -10 }} {{ -7 | modulo: 3 }}',
    row: { v: BIG },
    gives: '3 -7 2',
  },
  {
    it: 'rounds before the point alike, whatever kind of number it is',
    liquid: '{% for n in v %}{{ n | round: -2 }} {% endfor %}',
    row: { v: [1250, 1250n, D('1250.00'), 1250.5, D('-1249.99'), -1250, BIG] },
    gives: '1300 1300 1300 1300 -1200 -1300 9007199254741000 ',
  },
  {
    it: 'rounds up and down alike',
    liquid: '{% for n in v %}{{ n | ceil }},{{ n | floor }} {% endfor %}',
    row: { v: [-0.5, D('-0.50'), 1.5, D('1.50'), '1.5', BIG] },
    gives: '0,-1 0,-1 2,1 2,1 2,1 9007199254740993,9007199254740993 ',
  },
  {
    it: 'writes no negative zero',
    liquid: '{{ -0.4 | round | json }} {{ v | ceil | json }}',
    row: { v: -0.4 },
    gives: '0 0',
  },
  {
    it: 'finds the larger and the smaller',
    liquid: '{{ a | at_least: 9007199254740992 }} {{ a | at_most: 9007199254740992 }} {{ b | at_most: 0.2 }}',
    row: { a: BIG, b: D('0.10') },
    gives: '9007199254740993 9007199254740992 0.10',
  },
  {
    it: 'takes signs away',
    liquid: '{{ a | abs }} {{ b | abs }} {{ "-1.50" | abs }}',
    row: { a: -BIG, b: D('-0.10') },
    gives: '9007199254740993 0.10 1.5',
  },
  {
    it: 'takes decimals that are equal as one',
    liquid: "{{ v | uniq | join: ' ' }}",
    row: { v: [D('1.50'), D('1.5'), 1.5, 1.25, D('1.25'), BIG, 9_007_199_254_740_992, 1, 1n, '1'] },
    gives: '1.50 1.25 9007199254740993 9007199254740992 1 1',
  },
  {
    it: 'takes maps, lists and bytes that are equal as one',
    liquid: '{{ v | uniq | json }}',
    row: { v: [{ a: 1 }, { a: 1 }, { a: 2 }, new Uint8Array([1]), new Uint8Array([1]), null, null] },
    gives: '[{"a":1},{"a":2},"AQ==",null]',
  },
  {
    it: 'groups decimals that are equal',
    liquid: "{{ v | group_by: 'p' | json }}",
    row: { v: [{ p: D('1.50') }, { p: D('1.5') }, { p: BIG }, { p: 9_007_199_254_740_992 }] },
    gives:
      '[{"name":1.50,"items":[{"p":1.50},{"p":1.5}]},{"name":9007199254740993,"items":[{"p":9007199254740993}]},{"name":9007199254740992,"items":[{"p":9007199254740992}]}]',
  },
  {
    it: 'groups decimals that are equal by an expression',
    liquid:
      "{% assign g = v | group_by_exp: 'x', 'x.p' %}{{ g | size }} {{ g | first | map: 'name' | join }}",
    row: { v: [{ p: D('1.50') }, { p: D('1.5') }, { p: 1.5 }, { p: BIG }] },
    gives: '2 1.50',
  },
  {
    it: 'compares text that is a number with all its digits',
    liquid: "{% if v < 9007199254740993 %}less{% endif %}{% if '' < 1 or 'a' > 0 %}no{% endif %}",
    row: { v: '9007199254740992' },
    gives: 'less',
  },
  {
    it: 'sorts numbers of all kinds',
    liquid: "{{ v | sort | join: ' ' }}",
    row: { v: [BIG, D('9007199254740992.5'), 10, 9, D('9.5'), null] },
    gives: '9 9.5 10 9007199254740992.5 9007199254740993 ',
  },
  {
    it: 'rejects a list that has no order',
    json: '{{ v | sort | json }}',
    row: { v: [2, '10'] },
    error: 'body.json: cannot sort the text "10" and the number 2 (line 1, column 1 of the template)',
  },
  {
    it: 'compares maps and bytes by what they hold',
    liquid:
      '{% if previous.m == row.m %}same{% endif %} {% if previous.b == row.b %}same{% endif %} {% if previous.n == row.n %}same{% endif %}',
    row: { m: { a: [D('1.50')] }, b: new Uint8Array([1, 2]), n: { a: 1, b: null } },
    previous: { m: { a: [D('1.5')] }, b: new Uint8Array([1, 2]), n: { a: 1 } },
    gives: 'same same ',
  },
  {
    it: 'counts true and false as no numbers',
    liquid: '{{ true | plus: 1 }} {{ v | plus: 1 }}',
    row: { v: [5] },
    gives: '1 1',
  },
  {
    it: 'formats by the short forms of strftime',
    liquid: "{{ v | date: '%F %T %D %R' }}|{{ v | date: '%r %x %X %v' }}|{{ v | date: '%c' }}",
    row: { v: '2024-02-09T13:04:05' },
    gives:
      '2024-02-09 13:04:05 02/09/24 13:04|01:04:05 PM 02/09/24 13:04:05  9-FEB-2024|Fri Feb  9 13:04:05 2024',
  },
  {
    it: 'formats fractions with as many digits as are asked for',
    liquid: "{{ v | date: '%6N %3N %9N %N %L' }} {{ w | date: '%6N' }}",
    row: { v: '2024-02-09T13:04:05.000001Z', w: '2024-02-09T13:04:05.5' },
    gives: '000001 000 000001000 000001000 000 500000',
  },
  {
    it: 'formats with flags and widths',
    liquid: "{{ v | date: '%-d %e %_m %^b %#p %P %05d %:z %::z %q %y %C %j %s %%' }}",
    row: { v: '2024-02-09T13:04:05+05:30' },
    gives: '9  9  2 FEB pm pm 00009 +05:30 +05:30:00 th 24 20 040 1707464045 %',
  },
  {
    it: 'counts weeks as ISO and from Sunday and Monday',
    liquid: "{% for d in v %}{{ d | date: '%G-W%V-%u %g %U %W %w %A %a' }};{% endfor %}",
    row: { v: ['2021-01-01', '2024-12-30', '2026-01-04'] },
    gives:
      '2020-W53-5 20 00 00 5 Friday Fri;2025-W01-1 25 52 53 1 Monday Mon;2026-W01-7 26 01 00 0 Sunday Sun;',
  },
  {
    it: 'leaves text that is not a date as it is',
    liquid: "{% for d in v %}{{ d | date: '%d.%m.%Y' }};{% endfor %}",
    row: {
      v: [
        '0000-00-00',
        '0000-00-00T00:00:00',
        '2024-02-30',
        '2024-13-01',
        '2023-02-29',
        'infinity',
        'soon',
        '',
      ],
    },
    gives: '0000-00-00;0000-00-00T00:00:00;2024-02-30;2024-13-01;2023-02-29;infinity;soon;;',
  },
  {
    it: 'knows early and late years',
    liquid: "{% for d in v %}{{ d | date: '%Y/%m/%d' }};{% endfor %}",
    row: { v: ['0000-01-01', '0099-12-31', '+012024-02-29', '-000043-03-15', '9999-12-31T24:00:00'] },
    gives: '0000/01/01;0099/12/31;12024/02/29;-0043/03/15;10000/01/01;',
  },
  {
    it: 'reads dates of other forms as UTC, or in their zone',
    liquid: "{% for d in v %}{{ d | date: '%F %R %z' }};{% endfor %}",
    row: { v: ['March 14, 2016', 'Thu, 29 Feb 2024 23:30:00 +0200', '29 Feb 2024 10:00 GMT'] },
    gives: '2016-03-14 00:00 +0000;2024-02-29 23:30 +0200;2024-02-29 10:00 +0000;',
  },
  {
    it: 'leaves text that is not a directive as it is',
    liquid: "{{ v | date: '%J %E %i 100%' }}",
    row: { v: '2024-02-09' },
    gives: '%J %E %i 100%',
  },
  {
    it: 'gives nothing if there is no format',
    liquid: '{{ v | date: none }}',
    row: { v: '2024-02-09' },
    gives: '2024-02-09',
  },
  {
    it: 'keeps line breaks and tabs in the attributes of XML',
    body: { xml: '<a b="{{ v }}" c=\'{{ v }}\'>{{ v }}</a>' },
    row: { v: '1\n2\r3\t4' },
    gives: '<a b="1&#10;2&#13;3&#9;4" c=\'1&#10;2&#13;3&#9;4\'>1\n2&#13;3\t4</a>',
  },
  {
    it: 'keeps them where a capture made the text, or ">" stands before it',
    body: { xml: '{% capture t %}{{ v }}{% endcapture %}<a x=">" b="{{ t }}"/>' },
    row: { v: 'a\nb & c' },
    gives: '<a x=">" b="a&#10;b &amp; c"/>',
  },
  {
    it: 'leaves line breaks beside quotes in text',
    body: { xml: '<a b="c">"{{ v }}"<!-- it\'s --><i>{{ v }}</i></a>' },
    row: { v: 'x\ny' },
    gives: '<a b="c">"x\ny"<!-- it\'s --><i>x\ny</i></a>',
  },
  {
    it: 'never halves a character',
    liquid:
      "{{ v | size }} {{ v.size }} {{ v | slice: 1, 2 }} {{ v | truncate: 3, '…' }} {{ v | split: '' | size }}",
    row: { v: 'a😀b😀' },
    gives: '4 4 😀b a😀… 4',
  },
]
