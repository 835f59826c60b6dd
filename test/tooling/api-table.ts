/**
 * The table of the API in docs/reference/api.md, made from the table of operations.
 * `npx node test/tooling/api-table.ts` writes it.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { SHAPES, type Shape } from '@sluice/contracts/api/operation-shapes'
import {
  OPERATION_NAMES,
  OPERATIONS,
  type Operation,
  type OperationName,
} from '@sluice/contracts/api/operations'
import { format, resolveConfig } from 'prettier'

const PAGE = fileURLToPath(new URL('../../docs/reference/api.md', import.meta.url))
const [BEGIN, END] = ['<!-- written by test/tooling/api-table.ts: begin -->', '<!-- written: end -->']

/** The page as it is, and as it has to be. */
export async function apiPage(): Promise<{ readonly present: string; readonly wanted: string }> {
  const present = await readFile(PAGE, 'utf8')
  const [begin, end] = [present.indexOf(BEGIN), present.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`${PAGE} has no place for the table: ${BEGIN} … ${END}`)
  const text = `${present.slice(0, begin)}${BEGIN}\n\n${table()}\n\n${present.slice(end)}`
  return { present, wanted: await format(text, { ...(await resolveConfig(PAGE)), filepath: PAGE }) }
}

/** The receiver of the sample is for the sample alone. An operation within another one has no route. */
function isListed(name: OperationName): boolean {
  const { path, within }: Operation = OPERATIONS[name]
  return within === undefined && !path.startsWith('/sample/')
}

function table(): string {
  const rows = OPERATION_NAMES.filter(isListed).map(name => {
    const { method, path, role, also, isOpen }: Operation = OPERATIONS[name]
    const { summary, query, body, document }: Shape = SHAPES[name]
    const fields = Object.keys({ ...query?.shape, ...body?.shape }).map(field => `\`${field}\``)
    const roles = [role, also].filter(wanted => wanted !== undefined && wanted !== null)
    const wanted = roles.length > 0 ? roles.map(each => `\`${each}\``).join(' and ') : 'any'
    return [
      `\`${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}\``,
      summary,
      isOpen === true ? 'none' : wanted,
      [...(document === undefined ? [] : ['a [document](#resources)']), ...fields].join(' '),
    ]
  })
  const head = ['method and path', 'does', 'role', 'fields of the query or body']
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(PAGE, (await apiPage()).wanted)
