/** The answer to whoever asks for a preview. */
import type { PreviewView } from '@sluice/contracts/api'
import type { Preview } from '@sluice/control/port'

/** A preview's answer ends with the request that exceeds this many characters. */
const PREVIEW_TEXT = 8 * 1024 * 1024

export async function previewed(
  preview: Preview,
  { sync, limit }: { readonly sync: string; readonly limit: number },
): Promise<PreviewView> {
  const { counts, rowsRead, rowsInvalid, invalidRows, notices } = preview
  const requests: PreviewView['requests'] = []
  const rejected: NonNullable<PreviewView['rejected']> = []
  let characters = 0
  let more = false
  for await (const { kind, ...item } of preview.requests) {
    more = requests.length + rejected.length >= limit || characters > PREVIEW_TEXT
    if (more) break
    if ('error' in item) rejected.push(item)
    else requests.push(item)
    characters += JSON.stringify(item).length
  }
  return {
    ...{ sync, counts: { ...counts }, rowsRead, rowsInvalid, requests },
    ...(rejected.length === 0 ? {} : { rejected }),
    ...(isSample([...requests, ...rejected]) ? { sample: true as const } : {}),
    ...(invalidRows.length === 0 ? {} : { invalidRows: [...invalidRows] }),
    ...(notices.length === 0 ? {} : { notices: [...notices] }),
    ...(more ? { more } : {}),
  }
}

/** True if rows of the model stand for rows that would have changed. */
function isSample(shown: readonly { readonly sample?: true | undefined }[]): boolean {
  return shown.length > 0 && shown.every(({ sample }) => sample === true)
}
