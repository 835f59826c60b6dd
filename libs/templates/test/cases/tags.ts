import type { RenderCase } from './case.ts'

const LETTERS = { v: ['a', 'b', 'c'] }

/** Tags. */
export const TAG_CASES: readonly RenderCase[] = [
  { it: 'leaves text without tags as it is', liquid: 'a { b } % c', gives: 'a { b } % c' },
  { it: 'branches with if', liquid: '{% if v %}yes{% else %}no{% endif %}', row: { v: true }, gives: 'yes' },
  {
    it: 'takes 0 and empty text as true, as Liquid does',
    liquid: '{% if a %}A{% endif %}{% if b %}B{% endif %}',
    row: { a: 0, b: '' },
    gives: 'AB',
  },
  {
    it: 'takes null, false and missing values as false',
    liquid: '{% if a %}A{% elsif b %}B{% elsif c %}C{% else %}none{% endif %}',
    row: { a: null, b: false },
    gives: 'none',
  },
  {
    it: 'branches with elsif',
    liquid: "{% if v == 'a' %}1{% elsif v == 'b' %}2{% else %}3{% endif %}",
    row: { v: 'b' },
    gives: '2',
  },
  {
    it: 'branches with unless',
    liquid: '{% unless v %}no{% else %}yes{% endunless %}',
    row: { v: false },
    gives: 'no',
  },
  {
    it: 'branches with unless and elsif',
    liquid: '{% unless a %}A{% elsif b %}B{% endunless %}',
    row: { a: true, b: true },
    gives: 'B',
  },
  {
    it: 'joins conditions with and, or, not',
    liquid: '{% if a and b or not c %}yes{% endif %}',
    row: { a: true, b: false, c: false },
    gives: 'yes',
  },
  {
    it: 'compares',
    liquid: '{% if 1 < 2 and 2 <= 2 and 3 > 2 and 3 >= 3 and 1 != 2 %}yes{% endif %}',
    gives: 'yes',
  },
  {
    it: 'looks for text in text',
    liquid: "{% if v contains 'da' %}yes{% endif %}",
    row: { v: 'Ada' },
    gives: 'yes',
  },
  {
    it: 'looks for an item in a list',
    liquid: "{% if v contains 'b' %}yes{% endif %}{% if v contains 'x' %}no{% endif %}",
    row: LETTERS,
    gives: 'yes',
  },
  {
    it: 'compares lists item by item',
    liquid: '{% if a == b %}equal{% endif %}',
    row: { a: [1, ['x']], b: [1, ['x']] },
    gives: 'equal',
  },
  {
    it: 'compares with empty',
    liquid: '{% if a == empty %}A{% endif %}{% if b == empty %}B{% endif %}{% if c == empty %}C{% endif %}',
    row: { a: '', b: [], c: 'x' },
    gives: 'AB',
  },
  {
    it: 'compares with blank',
    liquid: '{% if a == blank %}A{% endif %}{% if b == blank %}B{% endif %}{% if c == blank %}C{% endif %}',
    row: { a: '  ', b: null, c: 'x' },
    gives: 'AB',
  },
  {
    it: 'compares with nil',
    liquid: '{% if a == nil %}A{% endif %}{% if b != nil %}B{% endif %}',
    row: { a: null, b: 0 },
    gives: 'AB',
  },
  {
    it: 'chooses with case',
    liquid: "{% case v %}{% when 'a', 'b' %}AB{% when 'c' or 'd' %}CD{% else %}other{% endcase %}",
    row: { v: 'd' },
    gives: 'CD',
  },
  {
    it: 'chooses the else of a case',
    liquid: '{% case v %}{% when 1 %}one{% else %}other{% endcase %}',
    row: { v: '1' },
    gives: 'other',
  },
  {
    it: 'chooses nothing where nothing fits',
    liquid: '[{% case v %}{% when 1 %}one{% endcase %}]',
    row: { v: 2 },
    gives: '[]',
  },
  {
    it: 'loops over a list',
    liquid: '{% for x in v %}<{{ x }}>{% endfor %}',
    row: LETTERS,
    gives: '<a><b><c>',
  },
  {
    it: 'loops over nothing with else',
    liquid: '{% for x in v %}{{ x }}{% else %}none{% endfor %}',
    row: { v: [] },
    gives: 'none',
  },
  {
    it: 'loops over null with else',
    liquid: '{% for x in v %}{{ x }}{% else %}none{% endfor %}',
    row: { v: null },
    gives: 'none',
  },
  {
    it: 'loops over a map by name and value',
    liquid: '{% for x in v %}{{ x[0] }}={{ x[1] }};{% endfor %}',
    row: { v: { a: 1, b: 2 } },
    gives: 'a=1;b=2;',
  },
  {
    it: 'loops over a row by column',
    liquid: '{% for x in row %}{{ x.first }}={{ x.last }};{% endfor %}',
    row: { a: 1, b: null },
    gives: 'a=1;b=;',
  },
  {
    it: 'loops over text as one item',
    liquid: '{% for x in v %}<{{ x }}>{% endfor %}',
    row: { v: 'abc' },
    gives: '<abc>',
  },
  { it: 'loops over a range', liquid: '{% for i in (1..3) %}{{ i }}{% endfor %}', gives: '123' },
  {
    it: 'loops over a calculated range',
    liquid: '{% for i in (a..b) %}{{ i }}{% endfor %}',
    row: { a: 2, b: 4 },
    gives: '234',
  },
  {
    it: 'loops over a range that is empty',
    liquid: '{% for i in (3..1) %}{{ i }}{% else %}none{% endfor %}',
    gives: 'none',
  },
  { it: 'limits a loop', liquid: '{% for x in v limit: 2 %}{{ x }}{% endfor %}', row: LETTERS, gives: 'ab' },
  {
    it: 'skips items of a loop',
    liquid: '{% for x in v offset: 1 %}{{ x }}{% endfor %}',
    row: LETTERS,
    gives: 'bc',
  },
  {
    it: 'goes on where a loop stopped',
    liquid:
      '{% for x in v limit: 1 %}{{ x }}{% endfor %}-{% for x in v offset: continue %}{{ x }}{% endfor %}',
    row: LETTERS,
    gives: 'a-bc',
  },
  {
    it: 'reverses a loop',
    liquid: '{% for x in v reversed %}{{ x }}{% endfor %}',
    row: LETTERS,
    gives: 'cba',
  },
  {
    it: 'reverses after limiting',
    liquid: '{% for x in v reversed limit: 2 %}{{ x }}{% endfor %}',
    row: LETTERS,
    gives: 'ba',
  },
  {
    it: 'says where a loop is',
    liquid:
      '{% for x in v %}{{ forloop.index }}{{ forloop.index0 }}{{ forloop.rindex }}{{ forloop.rindex0 }}{{ forloop.length }} {% endfor %}',
    row: LETTERS,
    gives: '10323 21213 32103 ',
  },
  {
    it: 'knows the first and last pass of a loop',
    liquid:
      '{% for x in v %}{% unless forloop.first %}, {% endunless %}{{ x }}{% if forloop.last %}.{% endif %}{% endfor %}',
    row: LETTERS,
    gives: 'a, b, c.',
  },
  {
    it: 'leaves a loop with break',
    liquid: "{% for x in v %}{% if x == 'b' %}{% break %}{% endif %}{{ x }}{% endfor %}!",
    row: LETTERS,
    gives: 'a!',
  },
  {
    it: 'passes over an item with continue',
    liquid: "{% for x in v %}{% if x == 'b' %}{% continue %}{% endif %}{{ x }}{% endfor %}!",
    row: LETTERS,
    gives: 'ac!',
  },
  {
    it: 'breaks the inner loop only',
    liquid: '{% for i in (1..2) %}{% for x in v %}{{ x }}{% break %}{% endfor %}{{ i }}{% endfor %}',
    row: LETTERS,
    gives: 'a1a2',
  },
  {
    it: 'keeps the outer loop in the inner',
    liquid:
      '{% for i in (1..2) %}{% for j in (1..2) %}{{ i }}{{ j }}{{ forloop.index }} {% endfor %}{{ forloop.index }};{% endfor %}',
    gives: '111 122 1;211 222 2;',
  },
  {
    it: 'makes a table',
    liquid: '{% tablerow x in v cols: 2 %}{{ x }}{% endtablerow %}',
    row: LETTERS,
    gives:
      '<tr class="row1">\n<td class="col1">a</td><td class="col2">b</td></tr>\n<tr class="row2"><td class="col1">c</td></tr>\n',
  },
  {
    it: 'cycles',
    liquid: "{% for i in (1..3) %}{% cycle 'odd', 'even' %} {% endfor %}",
    gives: 'odd even odd ',
  },
  {
    it: 'cycles by group',
    liquid: "{% cycle 'x': 1, 2 %}{% cycle 'y': 1, 2 %}{% cycle 'x': 1, 2 %}",
    gives: '112',
  },
  {
    it: 'counts up and down',
    liquid: '{% increment n %}{% increment n %}{% decrement m %}{% decrement m %} {{ n }}',
    gives: '01-1-2 2',
  },
  { it: 'counts apart from columns', liquid: '{% increment n %}{{ row.n }}', row: { n: 7 }, gives: '07' },
  {
    it: 'assigns with filters',
    liquid: "{% assign x = v | upcase | append: '!' %}{{ x }}",
    row: { v: 'a' },
    gives: 'A!',
  },
  { it: 'assigns values, not text', liquid: '{% assign x = v %}{{ x[1] }}', row: LETTERS, gives: 'b' },
  {
    it: 'captures text',
    liquid: '{% capture x %}<{{ v }}>{% endcapture %}{{ x }}{{ x }}',
    row: { v: 1 },
    gives: '<1><1>',
  },
  { it: 'captures under a name in quotes', liquid: "{% capture 'x' %}a{% endcapture %}{{ x }}", gives: 'a' },
  {
    it: 'captures inside a loop',
    liquid: '{% for i in (1..2) %}{% capture x %}{{ x }}{{ i }}{% endcapture %}{% endfor %}{{ x }}',
    gives: '12',
  },
  { it: 'echoes', liquid: '{% echo v | upcase %}', row: { v: 'a' }, gives: 'A' },
  { it: 'comments', liquid: 'a{% comment %}{{ v }} {% if %}{% endcomment %}b{% # so too %}c', gives: 'abc' },
  {
    it: 'leaves raw text as it is',
    liquid: '{% raw %}{{ v }}{% if x %}{% endraw %}',
    gives: '{{ v }}{% if x %}',
  },
  {
    it: 'reads lines of tags',
    liquid: '{% liquid\nassign x = 1\nif x == 1\n  echo x\nendif\nfor i in (1..2)\n  echo i\nendfor\n%}',
    gives: '112',
  },
  {
    it: 'trims whitespace with dashes',
    liquid: 'a \n {%- if true -%} \n b \n {%- endif -%} \n c {{- 1 -}} \n d',
    gives: 'abc1d',
  },
  { it: 'keeps whitespace without dashes', liquid: 'a {% if true %} b {% endif %} c', gives: 'a  b  c' },
  {
    it: 'loops over rows',
    liquid: '{% for row in rows %}{{ row.id }},{% endfor %}',
    rows: [{ id: 1 }, { id: 2 }],
    gives: '1,2,',
  },
]
