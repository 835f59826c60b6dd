/** A preview as a server answers with it. */
import type { PreviewView } from '@sluice/contracts/api'
import type { Preview, Previewed } from '../../port.ts'

export function previewIn(view: PreviewView): Preview {
  const { counts, rowsRead = 0, rowsInvalid = 0, invalidRows = [], notices = [] } = view
  const more = view.more === true ? [`there are more requests than the ${view.requests.length} shown`] : []
  return {
    ...{ counts, rowsRead, rowsInvalid, invalidRows, notices: [...notices, ...more] },
    requests: previewed(view),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

async function* previewed({ requests, rejected = [] }: PreviewView): AsyncGenerator<Previewed> {
  await Promise.resolve()
  for (const request of requests) yield { kind: 'request', ...request }
  for (const rows of rejected) yield { kind: 'rejected', ...rows }
}
