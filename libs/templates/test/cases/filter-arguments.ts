import type { MistakeCase } from './case.ts'

function refused(filter: string, message: string, column = 8): MistakeCase {
  return { it: `refuses ${filter}`, json: `{{ v | ${filter} }}`, line: 1, column, message }
}

/** Calls that could only give nonsense, and so are mistakes of the template. */
export const FILTER_ARGUMENT_CASES: readonly MistakeCase[] = [
  refused('times', 'the filter "times" takes 1 argument, found none'),
  refused('divided_by', 'the filter "divided_by" takes 1 or 2 arguments, found none'),
  refused('divided_by: 0', 'the filter "divided_by" takes a number other than 0, found 0', 20),
  refused('modulo: 0.00', 'the filter "modulo" takes a number other than 0, found 0.00', 16),
  refused("divided_by: 2, 'up'", 'the filter "divided_by" takes true or false, found \'up\'', 23),
  refused('append', 'the filter "append" takes 1 argument, found none'),
  refused("append: 'a', 'b'", 'the filter "append" takes 1 argument, found 2'),
  refused("plus: 'one'", 'the filter "plus" takes a number, found \'one\'', 14),
  refused('plus: true', 'the filter "plus" takes a number, found true', 14),
  refused('round: 1, 2', 'the filter "round" takes at most 1 argument, found 2'),
  refused('slice', 'the filter "slice" takes 1 or 2 arguments, found none'),
  refused('slice: 1.5', 'the filter "slice" takes a whole number, found 1.5', 15),
  refused('truncate: "x"', 'the filter "truncate" takes a whole number, found "x"', 18),
  refused("concat: 'a'", 'the filter "concat" takes a list, found \'a\'', 16),
  refused('upcase: 1', 'the filter "upcase" takes no argument'),
  refused("where: 'a', 1, 2", 'the filter "where" takes 1 or 2 arguments, found 3'),
  refused('map', 'the filter "map" takes 1 argument, found none'),
  refused('date', 'the filter "date" takes 1 or 2 arguments, found none'),
  refused("default: 'a', 'b'", 'the filter "default" takes at most 1 argument, found 2'),
  refused("default: 'a', allow: true", 'the filter "default" takes no argument named "allow"'),
  refused("append: text: 'a'", 'the filter "append" takes no argument named "text"'),
  refused('json: 2', 'the filter "json" takes no argument'),
  refused('split: (1..2)', 'the filter "split" takes text, found (1..2)', 15),
  {
    it: 'refuses a filter without its argument in an expression of another',
    json: "{{ v | where_exp: 'x', 'x.a | times' }}",
    line: 1,
    column: 24,
    message: 'in the expression of "where_exp": the filter "times" takes 1 argument, found none',
  },
  {
    it: 'refuses a line of an inline comment that begins with no "#"',
    json: '1{%- # a comment\n  assign x = 1\n-%}',
    line: 2,
    column: 3,
    message:
      'each line of {% # %} has to begin with "#", and this one does not: begin it so, or end the comment before it with "%}"',
  },
  {
    it: 'refuses names that begin with a dash',
    json: '{{ -a }}',
    line: 1,
    column: 4,
    message: '"-a" is no name; for a column of that name write [\'-a\']',
  },
  {
    it: 'refuses to assign to a question',
    json: '{% assign a? = 1 %}1',
    line: 1,
    column: 11,
    message: '"a?" is no name: it begins with a letter or "_" and has no "?"',
  },
  {
    it: 'refuses docs in docs',
    json: '{% doc %}a{% doc %}{% enddoc %}1',
    line: 1,
    column: 11,
    message: '{% doc %} cannot stand in {% doc %}',
  },
  {
    it: 'misses the end of a comment',
    json: '1{% comment %}{% comment %}{% endcomment %}',
    line: 1,
    column: 2,
    message: '{% comment %} is not closed: {% endcomment %} is missing',
  },
]
