import type { RenderCase } from '../case.ts'

/** Bodies in XML, forms, and anything else. */
export const TEXT_CASES: readonly RenderCase[] = [
  {
    it: 'escapes printed values in XML',
    body: { xml: '<a b="{{ v }}">{{ v }}</a>' },
    row: { v: `<&>"'` },
    gives: '<a b="&lt;&amp;&gt;&quot;&apos;">&lt;&amp;&gt;&quot;&apos;</a>',
  },
  {
    it: 'keeps carriage returns in XML',
    body: { xml: '<a>{{ v }}</a>' },
    row: { v: 'x\r\ny' },
    gives: '<a>x&#13;\ny</a>',
  },
  { it: 'prints raw XML', body: { xml: '<a>{{ v | raw }}</a>' }, row: { v: '<b/>' }, gives: '<a><b/></a>' },
  {
    it: 'escapes a captured text once',
    body: { xml: '{% capture x %}<b>{{ v }}</b>{% endcapture %}<a>{{ x }}</a>' },
    row: { v: '&' },
    gives: '<a><b>&amp;</b></a>',
  },
  {
    it: 'prints null in XML as nothing',
    body: { xml: '<a>{{ v }}</a>' },
    row: { v: null },
    gives: '<a></a>',
  },
  {
    it: 'writes XML of a batch',
    body: { xml: '<?xml version="1.0"?>\n<l>{% for row in rows %}<r id="{{ row.id }}"/>{% endfor %}</l>' },
    rows: [{ id: 1 }, { id: 2 }],
    gives: '<?xml version="1.0"?>\n<l><r id="1"/><r id="2"/></l>',
  },
  {
    it: 'takes comments, CDATA, instructions and references in XML',
    body: {
      xml: '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><!-- {{ v }} --><?go on?><a><![CDATA[<{{ v }}]]>&amp;&#65;&#x1F600;</a>',
    },
    row: { v: 1 },
    gives:
      '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><!-- 1 --><?go on?><a><![CDATA[<1]]>&amp;&#65;&#x1F600;</a>',
  },
  {
    it: 'takes names with prefixes and other alphabets in XML',
    body: { xml: '<soap:Envelope xmlns:soap="x"><größe _a-b.c="{{ v }}"/></soap:Envelope>' },
    row: { v: 1 },
    gives: '<soap:Envelope xmlns:soap="x"><größe _a-b.c="1"/></soap:Envelope>',
  },
  {
    it: 'rejects characters that XML cannot hold',
    body: { xml: '<a>{{ v }}</a>' },
    row: { v: 'x\u0000' },
    error: 'body.xml: a value has U+0000, which XML cannot hold (line 1, column 4 of the template)',
  },
  {
    it: 'rejects half a character in XML',
    body: { xml: '<a>{{ v }}</a>' },
    row: { v: '\ud800' },
    error: 'body.xml: a value has U+D800, which XML cannot hold (line 1, column 4 of the template)',
  },
  {
    it: 'rejects a tag that is not closed',
    body: { xml: '<a>\n<b>{{ v }}</a>' },
    row: { v: 1 },
    error: 'body.xml: the body is not well-formed XML at line 2, column 5: </a> does not close <b>',
  },
  {
    it: 'rejects an element that is not closed',
    body: { xml: '<a>{{ v }}<b>' },
    row: { v: 1 },
    error: 'body.xml: the body is not well-formed XML at line 1, column 5: <b> is not closed',
  },
  {
    it: 'rejects an end tag without a beginning',
    body: { xml: '<a/></b>{{ v }}' },
    row: { v: 1 },
    error: 'body.xml: the body is not well-formed XML at line 1, column 5: </b> closes nothing',
  },
  {
    it: 'rejects raw text that breaks XML',
    body: { xml: '<a>{{ v | raw }}</a>' },
    row: { v: 'a < b' },
    error:
      'body.xml: the body is not well-formed XML at line 1, column 6: "<" begins no tag; a "<" in a text is written &lt;',
  },
  {
    it: 'rejects a bare ampersand',
    body: { xml: '<a>{{ v | raw }}</a>' },
    row: { v: 'a & b' },
    error:
      'body.xml: the body is not well-formed XML at line 1, column 6: "&" begins no reference that XML knows; a "&" in a text is written &amp;',
  },
  {
    it: 'rejects references that XML does not know',
    body: { xml: '<a>&nbsp;{{ v }}</a>' },
    row: { v: 1 },
    error:
      'body.xml: the body is not well-formed XML at line 1, column 4: "&" begins no reference that XML knows; a "&" in a text is written &amp;',
  },
  {
    it: 'rejects references to no character',
    body: { xml: '<a>&#0;{{ v }}</a>' },
    row: { v: 1 },
    error: 'body.xml: the body is not well-formed XML at line 1, column 4: &#0; is no character of XML',
  },
  {
    it: 'rejects a second root',
    body: { xml: '<a/><b/>{{ v }}' },
    row: { v: null },
    error: 'body.xml: the body is not well-formed XML at line 1, column 5: <b> is a second root element',
  },
  {
    it: 'rejects text outside of the root',
    body: { xml: '<a/>{{ v }}' },
    row: { v: 'x' },
    error:
      'body.xml: the body is not well-formed XML at line 1, column 5: text stands outside of the root element',
  },
  {
    it: 'rejects a body without an element',
    body: { xml: '<!-- {{ v }} -->' },
    row: { v: 'x' },
    error: 'body.xml: the body is not well-formed XML at line 1, column 11: there is no element',
  },
  {
    it: 'rejects an attribute that is there twice',
    body: { xml: '<a b="1" b="{{ v }}"/>' },
    row: { v: 2 },
    error: 'body.xml: the body is not well-formed XML at line 1, column 10: the attribute b is there twice',
  },
  {
    it: 'rejects an attribute without quotes',
    body: { xml: '<a b={{ v }}/>' },
    row: { v: 2 },
    error:
      'body.xml: the body is not well-formed XML at line 1, column 6: the value of the attribute b is not in quotes',
  },
  {
    it: 'rejects an attribute without a value',
    body: { xml: '<a b>{{ v }}</a>' },
    row: { v: 2 },
    error:
      'body.xml: the body is not well-formed XML at line 1, column 5: expected "=" after the attribute b',
  },
  {
    it: 'rejects attributes without space between them',
    body: { xml: '<a b="1"c="{{ v }}"/>' },
    row: { v: 2 },
    error:
      'body.xml: the body is not well-formed XML at line 1, column 9: expected whitespace, ">" or "/>" in <a>',
  },
  {
    it: 'rejects "<" in an attribute',
    body: { xml: '<a b="{{ v | raw }}"/>' },
    row: { v: '<' },
    error:
      'body.xml: the body is not well-formed XML at line 1, column 7: a "<" in the attribute b is written &lt;',
  },
  {
    it: 'rejects "--" in a comment',
    body: { xml: '<a><!-- {{ v }} --></a>' },
    row: { v: 'x--y' },
    error: 'body.xml: the body is not well-formed XML at line 1, column 10: a comment cannot hold "--"',
  },
  {
    it: 'rejects "]]>" in a text',
    body: { xml: '<a>{{ v | raw }}</a>' },
    row: { v: 'x]]>' },
    error: 'body.xml: the body is not well-formed XML at line 1, column 5: "]]>" in a text is written ]]&gt;',
  },
  {
    it: 'rejects a DOCTYPE',
    body: { xml: '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;{{ v }}</a>' },
    row: { v: 1 },
    error: 'body.xml: the body is not well-formed XML at line 1, column 1: a DOCTYPE is not allowed',
  },
  {
    it: 'rejects a declaration that does not come first',
    body: { xml: ' <?xml version="1.0"?><a>{{ v }}</a>' },
    row: { v: 1 },
    error:
      'body.xml: the body is not well-formed XML at line 1, column 2: an XML declaration can only stand at the very beginning',
  },
  {
    it: 'encodes forms',
    body: { form: { id: '{{ id }}', 'full name': '{{ v }}', fixed: 'a b' } },
    row: { id: 7, v: 'ü&=+ "' },
    gives: 'id=7&full+name=%C3%BC%26%3D%2B+%22&fixed=a+b',
  },
  {
    it: 'repeats the name of a list in forms',
    body: { form: { 'tag[]': ['{{ v }}', 'b c'], id: ['{{ id }}'] } },
    row: { id: 7, v: 'a&b' },
    gives: 'tag%5B%5D=a%26b&tag%5B%5D=b+c&id=7',
  },
  {
    it: 'encodes line breaks in forms',
    body: { form: { a: '{{ v }}' } },
    row: { v: 'x\r\ny' },
    gives: 'a=x%0D%0Ay',
  },
  {
    it: 'sends empty values in forms for null',
    body: { form: { a: '{{ v }}', b: '1' } },
    row: { v: null },
    gives: 'a=&b=1',
  },
  {
    it: 'sends rows of a batch in a form',
    body: { form: { ids: "{{ rows | map: 'id' | join: ',' }}" } },
    rows: [{ id: 1 }, { id: 2 }],
    gives: 'ids=1%2C2',
  },
  {
    it: 'rejects half a character in forms',
    body: { form: { a: '{{ v }}' } },
    row: { v: '\ud800' },
    error:
      'body.form.a: the value has half a character (a lone surrogate) (line 1, column 1 of the template)',
  },
  {
    it: 'sends any text as it is',
    body: {
      text: {
        contentType: 'text/csv',
        template: '{% for row in rows %}{{ row.id }};{{ row.v }}\n{% endfor %}',
      },
    },
    rows: [
      { id: 1, v: '<"' },
      { id: 2, v: null },
    ],
    gives: '1;<"\n2;\n',
  },
  {
    it: 'sends JSON lines',
    body: {
      text: {
        contentType: 'application/x-ndjson',
        template: '{% for row in rows %}{{ row | json }}\n{% endfor %}',
      },
    },
    rows: [{ id: 1 }, { id: 2 }],
    gives: '{"id":1}\n{"id":2}\n',
  },
  {
    it: 'sends an empty text',
    body: { text: { contentType: 'text/plain', template: '{{ v }}' } },
    row: { v: null },
    gives: '',
  },
]
