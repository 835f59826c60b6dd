/**
 * A Slack webhook (docs.slack.dev/messaging/sending-messages-using-incoming-webhooks): its URL is its
 * credential, its answers are plain text, and it takes about a message a second.
 */
import type { ScriptedAnswer } from '@sluice/testkit/scripted-api'
import { asMap, parsed, startPretendApi, type PretendApi } from './pretend-api.ts'

export interface PretendSlack extends PretendApi {
  /** The messages of the channel, the oldest first, as they are written. */
  readonly messages: readonly string[]
}

/** `hook` is what follows `/services/` in the URL. */
export async function startSlack(hook: string): Promise<PretendSlack> {
  const messages: string[] = []
  const post = (body: unknown): ScriptedAnswer => {
    const { text } = asMap(body)
    if (body === undefined) return plain(400, 'invalid_payload')
    if (typeof text !== 'string' || text === '') return plain(400, 'no_text')
    messages.push(text)
    return plain(200, 'ok')
  }
  const api = await startPretendApi({
    routes: [{ method: 'POST', path: /^\/services\/.+$/, answer: ({ request }) => post(parsed(request)) }],
    refuse: ({ url }) => (url === `/services/${hook}` ? null : plain(404, 'no_service')),
    notFound: () => plain(405, 'method_not_allowed'),
  })
  return { ...api, messages }
}

function plain(status: number, body: string): ScriptedAnswer {
  return { status, headers: { 'content-type': 'text/plain' }, body }
}

export const RATE_LIMITED: ScriptedAnswer = {
  status: 429,
  headers: { 'content-type': 'application/json', 'retry-after': '1' },
  body: '{"retry_after":1,"ok":false,"error":"rate_limited"}',
}

export const HOOK_GONE = plain(404, 'no_service')
