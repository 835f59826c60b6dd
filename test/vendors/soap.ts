/**
 * A partner's web service as many enterprises have it: SOAP 1.1 (w3.org/TR/2000/NOTE-SOAP-20000508) over TLS
 * with certificates of its clients, and access tokens by the client credentials grant (RFC 6749 §4.4).
 * Each failure is a fault in an answer of 500; its code says who made the mistake.
 */
import type { RecordedRequest, ScriptedAnswer } from '@sluice/testkit/scripted-api'
import { json, startPretendApi, type Call, type PretendApi } from './pretend-api.ts'

const NAMESPACE = 'urn:example:partner:orders'
const TOKEN_SECONDS = 300

export interface Order {
  readonly customer: string
  readonly total: string
  readonly note: string
}

export interface PretendPartner extends PretendApi {
  /** By their numbers. */
  readonly orders: ReadonlyMap<string, Order>
  readonly tokens: readonly string[]
}

export async function startPartner(
  client: { readonly id: string; readonly secret: string },
  tls: { readonly cert: string; readonly key: string; readonly ca: string },
): Promise<PretendPartner> {
  const orders = new Map<string, Order>()
  const tokens: string[] = []

  const token = ({ request }: Call): ScriptedAnswer => {
    const form = new URLSearchParams(request.body)
    const basic = Buffer.from(`${client.id}:${client.secret}`).toString('base64')
    if (request.headers['authorization'] !== `Basic ${basic}`) return json(401, { error: 'invalid_client' })
    if (form.get('grant_type') !== 'client_credentials') return json(400, { error: 'unsupported_grant_type' })
    if (form.get('scope') !== 'orders.write') return json(400, { error: 'invalid_scope' })
    tokens.push(`partner-access-token-${tokens.length + 1}-b1946ac92492d2347c6235b4d2611184`)
    return json(200, { access_token: tokens.at(-1), token_type: 'bearer', expires_in: TOKEN_SECONDS })
  }
  const operate = ({ request }: Call): ScriptedAnswer => {
    const { headers, body } = request
    if (headers['content-type']?.startsWith('text/xml') !== true)
      return fault('Client', 'a request of SOAP 1.1 is text/xml')
    const operation = /^"urn:(saveOrder|cancelOrder)"$/.exec(headers['soapaction'] ?? '')?.[1] ?? ''
    const content = new RegExp(`<o:${operation} xmlns:o="${NAMESPACE}">(.*)</o:${operation}>`, 's').exec(body)
    if (content === null) return fault('Client', 'no operation that this service has')
    const number = textOf(content[1], 'number')
    if (operation === 'cancelOrder') return cancel(number)
    const order = orderIn(content[1])
    if (!/^\d+\.\d\d$/.test(order.total)) return fault('Client', `total: ${order.total} is no amount`)
    orders.set(number, order)
    return done('saveOrder')
  }
  const cancel = (number: string): ScriptedAnswer =>
    orders.delete(number) ? done('cancelOrder') : fault('Client.NoSuchOrder', `order ${number} is unknown`)
  const refuse = ({ url, headers }: RecordedRequest): ScriptedAnswer | null => {
    const isKnown = url === '/token' || headers['authorization'] === `Bearer ${tokens.at(-1) ?? ''}`
    return isKnown ? null : { status: 401, headers: { 'www-authenticate': 'Bearer error="invalid_token"' } }
  }
  const api = await startPretendApi(
    {
      routes: [
        { method: 'POST', path: /^\/token$/, answer: token },
        { method: 'POST', path: /^\/services\/orders$/, answer: operate },
      ],
      refuse,
      notFound: () => ({ status: 404, body: 'not found' }),
    },
    { tls },
  )
  return { ...api, orders, tokens }
}

function orderIn(xml: string | undefined): Order {
  return { customer: textOf(xml, 'customer'), total: textOf(xml, 'total'), note: textOf(xml, 'note') }
}

function textOf(xml: string | undefined, name: string): string {
  const text = new RegExp(`<o:${name}>([^<]*)</o:${name}>`).exec(xml ?? '')?.[1] ?? ''
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll(/&(apos|#39);/g, "'")
    .replaceAll('&amp;', '&')
}

function done(operation: string): ScriptedAnswer {
  return envelope(200, `<o:${operation}Response xmlns:o="${NAMESPACE}"/>`)
}

/** `Client`: the request is wrong as it is. `Server`: it may be right another time. */
export function fault(code: string, text: string): ScriptedAnswer {
  const detail = `<faultcode>soap:${code}</faultcode><faultstring>${text}</faultstring>`
  return envelope(500, `<soap:Fault>${detail}</soap:Fault>`)
}

function envelope(status: number, content: string): ScriptedAnswer {
  const namespace = 'http://schemas.xmlsoap.org/soap/envelope/'
  const body = `<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="${namespace}"><soap:Body>${content}</soap:Body></soap:Envelope>`
  return { status, headers: { 'content-type': 'text/xml; charset=utf-8' }, body }
}
