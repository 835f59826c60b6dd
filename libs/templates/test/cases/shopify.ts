import type { RenderCase } from './case.ts'

/** Where liquidjs differs from Shopify's Liquid, we do as Shopify does. */
export const SHOPIFY_CASES: readonly RenderCase[] = [
  {
    it: 'renders each branch of a case that fits, as often as it fits',
    liquid:
      "{% case v %}{% when 'a' %}1{% when b, 'a' %}2{% else %}3{% when 'c' %}4{% endcase %}{% case 'x' %}{% else %}5{% endcase %}",
    row: { v: 'a', b: 'a' },
    gives: '1225',
  },
  {
    it: 'distinguishes blank and empty',
    liquid:
      '{% if blank == empty %}A{% endif %}{% if nil == blank %}B{% endif %}{% if nil == empty %}C{% endif %}{% if m == empty %}D{% endif %}{% if blank <= 1 or 1 >= empty %}E{% endif %}{% if false == blank %}F{% endif %}',
    row: { m: {} },
    gives: 'BDF',
  },
  {
    it: 'knows the loop around a loop',
    liquid:
      '{% for i in (1..2) %}{% for j in (1..2) %}{% for k in (1..1) %}{{ forloop.parentloop.parentloop.index }}{{ forloop.parentloop.index }}{{ forloop.name }} {% endfor %}{% endfor %}{{ forloop.parentloop }}{% endfor %}',
    gives: '11k-(1..1) 12k-(1..1) 21k-(1..1) 22k-(1..1) ',
  },
  {
    it: 'prints values that have changed',
    liquid: '{% for x in v %}{% ifchanged %}{{ x }}{% endifchanged %}.{% endfor %}',
    row: { v: [1, 1, 2, 1] },
    gives: '1..2.1.',
  },
  {
    it: 'passes over docs, whatever is in them',
    liquid: 'a{% doc %}{{ x {% if %} {% raw %} {%- enddoc -%} b',
    gives: 'ab',
  },
  {
    it: 'passes over comments in comments',
    liquid:
      'a{% comment %} {% comment %}{% if %}{% endcomment %} {% raw %}{% endcomment %}{% endraw %} {% endcomment -%} b',
    gives: 'ab',
  },
  {
    it: 'drops the white space of blocks that print nothing',
    liquid:
      '[{% if true %}\n {% assign x = 1 %}\n {% for i in (1..2) %} {% endfor %}{% endif %}][{% if true %} {% raw %} {% endraw %} {% endif %}]',
    gives: '[][   ]',
  },
  {
    it: 'trims around raw text, never inside',
    liquid: 'a {%- raw -%} {{ b }} {%- endraw -%} c',
    gives: 'a {{ b }} c',
  },
  { it: 'reads <> as !=', liquid: "{% if 'a' <> 'b' %}other{% endif %}", gives: 'other' },
  {
    it: 'contains neither nothing nor false',
    liquid: '{% if v contains nil or v contains false %}yes{% endif %}{% if m contains "a" %}key{% endif %}',
    row: { v: [null, false], m: { a: 1 } },
    gives: 'key',
  },
  {
    it: 'counts cycles of a group together',
    liquid: "{% cycle 'g': 1, 2, 3 %}{% cycle 'g': 7, 8, 9 %}{% cycle 'g': 1 %}{% cycle 'g': 5, 6 %}",
    gives: '185',
  },
  {
    it: 'takes defaults in any order of their arguments, and for empty maps',
    liquid:
      "{{ f | default: allow_false: true, 'x' }} {{ f | default: 'x', allow_false: false }} {{ m | default: 'none' }}",
    row: { f: false, m: {} },
    gives: 'false x none',
  },
  {
    it: 'finds properties whose names are not words',
    liquid:
      "{{ v | map: 'first name' | join }} {{ v | where: 'first name', 'Ada' | size }} {{ v | sort: 'first name' | map: 'a.b' | join }}",
    row: {
      v: [
        { 'first name': 'Eve', 'a.b': 1 },
        { 'first name': 'Ada', a: { b: 2 } },
      ],
    },
    gives: 'Eve Ada 1 2 1',
  },
  {
    it: 'finds items with a true property if no value is given',
    liquid: "{{ v | where: 'p', nothing | map: 'p' | join }} {{ v | reject: 'p', nil | size }}",
    row: { v: [{ p: 'a' }, { p: null }, { p: false }] },
    gives: 'a 2',
  },
  {
    it: 'passes over null items in a list',
    liquid: "{{ v | where: 'p', 1 | size }} {{ v | has: 'p', 1 }} {{ v | map: 'p' | json }}",
    row: { v: [null, { p: 1 }] },
    gives: '1 true [null,1]',
  },
  {
    it: 'rejects a property of a number',
    json: "{{ v | map: 'p' | json }}",
    row: { v: [1] },
    error: 'body.json: cannot read the property "p" of the number 1 (line 1, column 1 of the template)',
  },
  {
    it: 'finds text in texts',
    liquid: "{{ v | find: 'oo' }} {{ v | find_index: 'oo' }} {{ v | has: 'x' }}",
    row: { v: ['ab', 'zoo'] },
    gives: 'zoo 1 false',
  },
  {
    it: 'counts the fields of a map, and takes the first',
    liquid:
      '{{ m | size }} {{ m.size }} {{ m | first | join }} {{ m.first | join }} {{ n.first }} [{{ row.first }}]',
    row: { m: { a: 1, b: 2 }, n: { first: 'own' } },
    gives: '2 2 a 1 a 1 own []',
  },
  {
    it: 'sees lists in lists as one',
    liquid:
      "{{ v | join: '-' }} {{ v | reverse | join: '-' }} {{ v | concat: w | size }} {{ v | uniq | size }} {{ v | compact | size }}",
    row: { v: [1, [2, [2, null]]], w: [[3, 4]] },
    gives: '1-2-2- -2-2-1 5 3 3',
  },
  {
    it: 'leaves out items whose property is null or already occurred',
    liquid: "{{ v | compact: 'p' | json }} {{ v | uniq: 'p' | json }}",
    row: { v: [{ p: 1 }, { p: null }, { p: 1, q: 2 }] },
    gives: '[{"p":1},{"p":1,"q":2}] [{"p":1},{"p":null}]',
  },
  {
    it: 'rejects a value that is not a list as the end of another list',
    json: '{{ v | concat: w | json }}',
    row: { v: [1], w: 'x' },
    error:
      'body.json: "concat" wants a list to put behind the other, found the text "x" (line 1, column 1 of the template)',
  },
  {
    it: 'splits at white space, and leaves out empty pieces at the end',
    liquid: "{{ ' a  b\nc ' | split: ' ' | json }} {{ 'a,,b,,' | split: ',' | json }}",
    gives: '["a","b","c"] ["a","","b"]',
  },
  {
    it: 'joins and cuts with nothing where that is said',
    liquid:
      '{{ v | join: nothing }} {{ "abcdef" | truncate: 3, nothing }} {{ "a b c" | truncatewords: 2, nothing }}',
    row: { v: ['a', 'b'] },
    gives: 'ab abc a b',
  },
  {
    it: 'cuts texts and words with three dots',
    liquid:
      '{{ "abcdef" | truncate: 5 }} {{ "a  b c" | truncatewords: 2 }} {{ "a b" | truncatewords: 2 }} {{ "abc" | truncate: 2 }}',
    gives: 'ab... a b... a b ...',
  },
  {
    it: 'rejects a length that is not a whole number',
    json: '"{{ "abc" | slice: v }}"',
    row: { v: 1.5 },
    error: 'body.json: "slice" wants a whole number, found the number 1.5 (line 1, column 2 of the template)',
  },
  {
    it: 'replaces nothing between all characters',
    liquid: "{{ 'ab' | replace: '', '.' }} {{ 'abab' | replace: 'b' }}",
    gives: '.a.b. aa',
  },
  {
    it: 'encodes for URLs as forms do',
    liquid:
      "{{ v | url_encode }} {{ 'a-_/+?' | base64_url_safe_encode }} {{ 'YS1fLys_' | base64_url_safe_decode }}",
    row: { v: "a b!*'()~é" },
    gives: 'a+b%21%2A%27%28%29~%C3%A9 YS1fLys_ a-_/+?',
  },
  {
    it: 'encodes bytes for URLs',
    liquid: '{{ v | base64_url_safe_encode }}',
    row: { v: new Uint8Array([251, 255]) },
    gives: '-_8=',
  },
  {
    it: 'cuts the fractions of a range, and takes a value that is not a number as 0',
    liquid: "{% for i in (1.9..x) %}{{ i }}{% endfor %} {{ ('a'..2) | join: '' }}",
    row: { x: 3 },
    gives: '123 012',
  },
  {
    it: 'goes through all of a list where the limit is nothing',
    liquid: '{% for x in v limit: nothing offset: nothing %}{{ x }}{% endfor %}',
    row: { v: [1, 2] },
    gives: '12',
  },
  {
    it: 'rejects a limit that is not a number',
    json: '[{% for x in v limit: n %}{{ x }},{% endfor %}]',
    row: { v: [1, 2], n: 'two' },
    error:
      'body.json: the limit of a loop has to be a whole number, found the text "two" (line 1, column 2 of the template)',
  },
  {
    it: 'reads names over white space',
    liquid: "{{ a\n .b [ 'c' ] }}",
    row: { a: { b: { c: 'deep' } } },
    gives: 'deep',
  },
  {
    it: 'sorts by the printed text, without regard to case',
    liquid: "{{ v | sort_natural | join: ' ' }} {{ w | sort_natural: 'n' | map: 'n' | join: ' ' }}",
    row: { v: ['b', 'A', 'c', 10, 9], w: [{ n: 9 }, { n: 10 }] },
    gives: '10 9 A b c 10 9',
  },
  {
    it: 'reads lines of tags with comments between them',
    liquid: '{% liquid\n  # a comment\n  assign x = 1\n  comment\n  if\n  endcomment\n  echo x\n%}',
    gives: '1',
  },
  { it: 'reads an inline comment of several lines', liquid: 'a{%- # one\n  # two\n-%} b', gives: 'ab' },
]
