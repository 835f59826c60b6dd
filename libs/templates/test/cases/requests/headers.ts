import type { RenderCase } from '../case.ts'

/** Headers: a value stays in its line. */
export const HEADER_CASES: readonly RenderCase[] = [
  {
    it: 'takes a header as it is',
    header: 'application/json; charset=utf-8',
    gives: 'application/json; charset=utf-8',
  },
  {
    it: 'puts values into a header',
    header: 'id={{ id }}; run={{ run.id }}',
    row: { id: 9223372036854775807n },
    gives: 'id=9223372036854775807; run=01JD',
  },
  { it: 'prints nothing for null', header: 'v={{ v }}', row: { v: null }, gives: 'v=' },
  { it: 'trims whitespace around', header: '\n  {{ v }}\n', row: { v: 'a' }, gives: 'a' },
  {
    it: 'rejects a line break in a value',
    header: '{{ v }}',
    row: { v: 'a\r\nX-Evil: 1' },
    error:
      'headers.X-Case: a value has a line break, which would begin another header (line 1, column 1 of the template)',
  },
  {
    it: 'rejects a line break at the end of a value',
    header: '{{ v }}',
    row: { v: 'a\n' },
    error:
      'headers.X-Case: a value has a line break, which would begin another header (line 1, column 1 of the template)',
  },
  {
    it: 'rejects a carriage return in a raw value',
    header: 'x{{ v | raw }}',
    row: { v: '\r' },
    error:
      'headers.X-Case: a value has a line break, which would begin another header (line 1, column 2 of the template)',
  },
  {
    it: 'rejects a line break between tags',
    header: 'a\n{{ v }}',
    row: { v: 'b' },
    error:
      'headers.X-Case: the header has a line break, which would begin another header (line 2, column 1 of the template)',
  },
  {
    it: 'rejects control characters',
    header: '{{ v }}',
    row: { v: 'a\u0000b' },
    error:
      'headers.X-Case: the header has U+0000, which headers cannot carry; use "| url_encode" or "| base64_encode" (line 1, column 1 of the template)',
  },
  {
    it: 'rejects characters outside of Latin-1',
    header: '{{ v }}',
    row: { v: 'a😀' },
    error:
      'headers.X-Case: the header has "😀", which headers cannot carry; use "| url_encode" or "| base64_encode" (line 1, column 1 of the template)',
  },
  { it: 'takes Latin-1 and tabs', header: '{{ v }}', row: { v: 'é\tx' }, gives: 'é\tx' },
  { it: 'sees rows in batches', header: '{{ rows.last.id }}', rows: [{ id: 1 }, { id: 2 }], gives: '2' },
]
