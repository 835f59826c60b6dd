import type { RenderCase } from '../case.ts'

const NEEDED = 'a value in the path is null or empty; give it a "default" if the request can do without'

/** Paths: what a value prints stays in its segment. */
export const PATH_CASES: readonly RenderCase[] = [
  { it: 'takes a path as it is', path: '/1/indexes/main/batch', gives: '/1/indexes/main/batch' },
  {
    it: 'puts a value into a segment',
    path: '/customers/{{ row.id }}',
    row: { id: 7 },
    gives: '/customers/7',
  },
  {
    it: 'puts a bare column into a segment',
    path: '/customers/{{ id }}/notes',
    row: { id: 'a' },
    gives: '/customers/a/notes',
  },
  { it: 'encodes slashes', path: '/c/{{ id }}', row: { id: 'a/b' }, gives: '/c/a%2Fb' },
  {
    it: 'encodes question marks, hashes, percents and spaces',
    path: '/c/{{ id }}',
    row: { id: '?a=1&b#c %20' },
    gives: '/c/%3Fa%3D1%26b%23c%20%2520',
  },
  { it: 'encodes other alphabets', path: '/c/{{ id }}', row: { id: 'ü/日' }, gives: '/c/%C3%BC%2F%E6%97%A5' },
  {
    it: 'encodes line breaks',
    path: '/c/{{ id }}',
    row: { id: 'a\r\nHost: x' },
    gives: '/c/a%0D%0AHost%3A%20x',
  },
  { it: 'encodes backslashes', path: '/c/{{ id }}', row: { id: '..\\..' }, gives: '/c/..%5C..' },
  {
    it: 'encodes a value of the query',
    path: '/c?q={{ q }}&n=1',
    row: { q: 'a&b=c+d' },
    gives: '/c?q=a%26b%3Dc%2Bd&n=1',
  },
  {
    it: 'prints big numbers with all digits',
    path: '/c/{{ id }}',
    row: { id: 9223372036854775807n },
    gives: '/c/9223372036854775807',
  },
  {
    it: 'prints a map as encoded JSON',
    path: '/c?filter={{ f }}',
    row: { f: { a: 1 } },
    gives: '/c?filter=%7B%22a%22%3A1%7D',
  },
  {
    it: 'leaves raw values as they are',
    path: '/c/{{ p | raw }}',
    row: { p: 'a/b?c=d' },
    gives: '/c/a/b?c=d',
  },
  {
    it: 'encodes spaces and other alphabets in raw values all the same',
    path: '/c/{{ p | raw }}',
    row: { p: 'ä b' },
    gives: '/c/%C3%A4%20b',
  },
  {
    it: 'rejects null',
    path: '/c/{{ id }}',
    row: { id: null },
    error: `path: ${NEEDED} (line 1, column 4 of the template)`,
  },
  {
    it: 'rejects empty text',
    path: '/c/{{ id }}',
    row: { id: '' },
    error: `path: ${NEEDED} (line 1, column 4 of the template)`,
  },
  {
    it: 'rejects an empty list',
    path: '/c/{{ id }}',
    row: { id: [] },
    error: `path: ${NEEDED} (line 1, column 4 of the template)`,
  },
  {
    it: 'rejects a missing column',
    path: '/c/{{ nothing }}',
    row: { id: 1 },
    error: `path: ${NEEDED} (line 1, column 4 of the template)`,
  },
  {
    it: 'rejects null in the query',
    path: '/c?q={{ q }}',
    row: { q: null },
    error: `path: ${NEEDED} (line 1, column 6 of the template)`,
  },
  {
    it: 'rejects null even if it is raw',
    path: '/c/{{ id | raw }}',
    row: { id: null },
    error: `path: ${NEEDED} (line 1, column 4 of the template)`,
  },
  {
    it: 'takes a default for null',
    path: "/c/{{ id | default: 'new' }}",
    row: { id: null },
    gives: '/c/new',
  },
  { it: 'encodes a default', path: "/c/{{ id | default: 'a/b' }}", row: { id: null }, gives: '/c/a%2Fb' },
  {
    it: 'rejects a default that is empty',
    path: "/c/{{ id | default: '' }}",
    row: { id: null },
    error: `path: ${NEEDED} (line 1, column 4 of the template)`,
  },
  {
    it: 'rejects a segment of two dots',
    path: '/c/{{ id }}/x',
    row: { id: '..' },
    error:
      'path: the path /c/../x has a "." or ".." segment, which would lead elsewhere (line 1, column 4 of the template)',
  },
  {
    it: 'rejects a segment of one dot',
    path: '/c/{{ id }}',
    row: { id: '.' },
    error:
      'path: the path /c/. has a "." or ".." segment, which would lead elsewhere (line 1, column 4 of the template)',
  },
  {
    it: 'rejects dots that a value makes with the text',
    path: '/c/.{{ id }}',
    row: { id: '.' },
    error:
      'path: the path /c/.. has a "." or ".." segment, which would lead elsewhere (line 1, column 5 of the template)',
  },
  {
    it: 'rejects dots in raw values',
    path: '/c/{{ p | raw }}',
    row: { p: 'a/../../b' },
    error:
      'path: the path /c/a/../../b has a "." or ".." segment, which would lead elsewhere (line 1, column 4 of the template)',
  },
  {
    it: 'rejects encoded dots in raw values',
    path: '/c/{{ p | raw }}',
    row: { p: '%2E%2e/b' },
    error:
      'path: the path /c/%2E%2e/b has a "." or ".." segment, which would lead elsewhere (line 1, column 4 of the template)',
  },
  {
    it: 'rejects dots behind a raw backslash',
    path: '/c/{{ p | raw }}',
    row: { p: 'a\\..\\b' },
    error:
      'path: the path /c/a%5C..%5Cb has a "." or ".." segment, which would lead elsewhere (line 1, column 4 of the template)',
  },
  { it: 'takes dots within a segment', path: '/c/{{ id }}.json', row: { id: '..a' }, gives: '/c/..a.json' },
  { it: 'takes dots in the query', path: '/c?p={{ p | raw }}', row: { p: '/../x' }, gives: '/c?p=/../x' },
  {
    it: 'rejects a raw value that names a host',
    path: '{{ p | raw }}',
    row: { p: '//evil.example/x' },
    error:
      'path: the path //evil.example/x begins with "//", which would name another host (line 1, column 1 of the template)',
  },
  {
    it: 'rejects a raw value that makes an empty segment',
    path: '/c/{{ p | raw }}',
    row: { p: '/x' },
    error: 'path: the path /c//x has an empty segment ("//") (line 1, column 4 of the template)',
  },
  {
    it: 'takes an empty segment that the template has',
    path: '/fetch/https://host/{{ id }}',
    row: { id: 1 },
    gives: '/fetch/https://host/1',
  },
  {
    it: 'begins every path with a slash',
    path: '{{ p | raw }}',
    row: { p: '@evil.example/x' },
    gives: '/@evil.example/x',
  },
  { it: 'keeps a port from being made', path: '{{ p | raw }}', row: { p: ':8080/x' }, gives: '/:8080/x' },
  { it: 'begins a path with a slash that was left out', path: 'customers', gives: '/customers' },
  { it: 'takes a query alone', path: '?id={{ id }}', row: { id: 1 }, gives: '?id=1' },
  { it: 'takes an empty path', path: '', gives: '' },
  {
    it: 'rejects a fragment from a raw value',
    path: '/c/{{ p | raw }}',
    row: { p: 'a#b' },
    error:
      'path: the path has a "#", and what follows it is never sent; write %23 (line 1, column 4 of the template)',
  },
  {
    it: 'rejects line breaks from a raw value',
    path: '/c/{{ p | raw }}',
    row: { p: 'a\nb' },
    error: 'path: the path has a line break or another control character (line 1, column 4 of the template)',
  },
  {
    it: 'rejects half a character',
    path: '/c/{{ id }}',
    row: { id: 'a\ud800' },
    error:
      'path: a value in the path has half a character (a lone surrogate) (line 1, column 4 of the template)',
  },
  {
    it: 'encodes other alphabets in the template',
    path: '/søk/{{ id }}',
    row: { id: 1 },
    gives: '/s%C3%B8k/1',
  },
  { it: 'leaves what the template has encoded', path: '/a%20b/%C3%BC', gives: '/a%20b/%C3%BC' },
  { it: 'trims whitespace around the template', path: '\n  /c/{{ id }}\n', row: { id: 1 }, gives: '/c/1' },
  { it: 'keeps whitespace that a value has', path: ' /c/{{ id }} ', row: { id: ' a ' }, gives: '/c/%20a%20' },
  {
    it: 'chooses a path by tags',
    path: '{% if vip %}/vip{% else %}/all{% endif %}/{{ id }}',
    row: { vip: true, id: 1 },
    gives: '/vip/1',
  },
  {
    it: 'encodes a captured text once',
    path: '{% capture x %}{{ id }}/y{% endcapture %}/c/{{ x }}',
    row: { id: 'a/b' },
    gives: '/c/a%2Fb/y',
  },
  {
    it: 'encodes a captured and stripped text once',
    path: '{% capture x %} {{ id }} {% endcapture %}/c/{{ x | strip }}',
    row: { id: 'a/b' },
    gives: '/c/a%2Fb',
  },
  {
    it: 'encodes a captured text again once it is changed',
    path: "{% capture x %}{{ id }}{% endcapture %}/c/{{ x | append: '/y' }}",
    row: { id: 'a/b' },
    gives: '/c/a%252Fb%2Fy',
  },
  { it: 'encodes an echoed text', path: '/c/{% echo id %}', row: { id: 'a/b' }, gives: '/c/a%2Fb' },
  { it: 'encodes what cycles', path: "/c/{% cycle id, 'x' %}", row: { id: 'a/b' }, gives: '/c/a%2Fb' },
  {
    it: 'sees rows in batches',
    path: '/c/{{ rows[0].id }}/{{ rows.size }}',
    rows: [{ id: 'a b' }, { id: 'c' }],
    gives: '/c/a%20b/2',
  },
]
