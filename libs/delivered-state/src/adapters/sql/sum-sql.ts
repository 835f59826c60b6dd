/**
 * SQL for a sum of any number of terms, such as the sizes of a row's columns. Written one behind the other
 * they nest as deep as they are many, and DuckDB takes no expression of a depth above 1,000.
 */
export function sumSql(terms: readonly string[]): string {
  const [first = '0'] = terms
  if (terms.length <= 1) return first
  const half = Math.ceil(terms.length / 2)
  return `(${sumSql(terms.slice(0, half))} + ${sumSql(terms.slice(half))})`
}
