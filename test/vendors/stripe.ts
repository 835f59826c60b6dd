/**
 * Stripe's customers (docs.stripe.com/api/customers, /api/idempotent_requests, /api/errors): forms in, JSON
 * out, ids of its own, and answers that are kept under an idempotency key.
 */
import { createHash } from 'node:crypto'
import type { RecordedRequest, ScriptedAnswer } from '@sluice/testkit/scripted-api'
import { json, startPretendApi, type Call, type PretendApi } from './pretend-api.ts'

/** A customer as it was last told; gone once it is deleted. */
export interface StripeCustomer {
  readonly name: string
  readonly email: string
  readonly metadata: { readonly [name: string]: string }
}

export interface PretendStripe extends PretendApi {
  readonly customers: ReadonlyMap<string, StripeCustomer>
  /** Counts answers that were given again, as they were kept under a key. */
  readonly replays: () => number
  /** As somebody does it in the Dashboard. */
  deleteByHand(id: string): void
}

interface Kept {
  readonly hash: string
  readonly answer: ScriptedAnswer
}

export async function startStripe(key: string): Promise<PretendStripe> {
  const customers = new Map<string, StripeCustomer>()
  const kept = new Map<string, Kept>()
  let replays = 0
  let made = 0

  const create = ({ request }: Call): ScriptedAnswer => {
    const id = `cus_${createHash('sha256')
      .update(String((made += 1)))
      .digest('hex')
      .slice(0, 14)}`
    const customer = { name: '', email: '', metadata: {} }
    return put(id, customer, request)
  }
  const update = ({ request, parts: [id = ''] }: Call): ScriptedAnswer => {
    const customer = customers.get(id)
    return customer === undefined ? noSuchCustomer(id) : put(id, customer, request)
  }
  const put = (id: string, before: StripeCustomer, request: RecordedRequest): ScriptedAnswer => {
    const form = new URLSearchParams(request.body)
    const unknown = [...form.keys()].find(name => !/^(name|email|metadata\[[^\]]+\])$/.test(name))
    if (unknown !== undefined)
      return failure(400, { code: 'parameter_unknown', message: `Received unknown parameter: ${unknown}` })
    const metadata = new Map(Object.entries(before.metadata))
    for (const [name, value] of form) {
      const inner = /^metadata\[(.*)\]$/.exec(name)?.[1]
      if (inner === undefined) continue
      // An empty value takes the entry away.
      if (value === '') metadata.delete(inner)
      else metadata.set(inner, value)
    }
    const { name = before.name, email = before.email } = Object.fromEntries(form)
    const customer = { name, email, metadata: Object.fromEntries(metadata) }
    customers.set(id, customer)
    return json(200, { id, object: 'customer', ...customer, livemode: false })
  }
  const remove = ({ parts: [id = ''] }: Call): ScriptedAnswer =>
    customers.delete(id) ? json(200, { id, object: 'customer', deleted: true }) : noSuchCustomer(id)

  /** Keeps an answer of an endpoint that has begun its work. One that refuses the parameters has not. */
  const once =
    (carryOut: (call: Call) => ScriptedAnswer) =>
    (call: Call): ScriptedAnswer => {
      const { headers, url, body } = call.request
      const name = headers['idempotency-key']
      const hash = `${url} ${body}`
      const earlier = name === undefined ? undefined : kept.get(name)
      if (earlier === undefined) {
        const answer = carryOut(call)
        if (name !== undefined && answer.status !== 400) kept.set(name, { hash, answer })
        return answer
      }
      if (earlier.hash !== hash) return otherParameters(name ?? '')
      replays += 1
      return { ...earlier.answer, headers: { ...earlier.answer.headers, 'idempotent-replayed': 'true' } }
    }

  const api = await startPretendApi({
    routes: [
      { method: 'POST', path: /^\/v1\/customers$/, answer: once(create) },
      { method: 'POST', path: /^\/v1\/customers\/([^/]+)$/, answer: once(update) },
      // A key has no effect on a DELETE.
      { method: 'DELETE', path: /^\/v1\/customers\/([^/]+)$/, answer: remove },
    ],
    refuse: ({ headers }) =>
      headers['authorization'] === `Bearer ${key}`
        ? null
        : failure(401, { message: 'Invalid API Key provided: sk_test_****' }),
    notFound: ({ method, url }) => failure(404, { message: `Unrecognized request URL (${method}: ${url}).` }),
  })
  return {
    ...api,
    customers,
    replays: () => replays,
    deleteByHand: id => void customers.delete(id),
  }
}

function failure(status: number, error: object): ScriptedAnswer {
  return json(status, { error: { type: 'invalid_request_error', ...error } })
}

function noSuchCustomer(id: string): ScriptedAnswer {
  return failure(404, { code: 'resource_missing', param: 'id', message: `No such customer: '${id}'` })
}

function otherParameters(name: string): ScriptedAnswer {
  const message =
    'Keys for idempotent requests can only be used with the same parameters they were first used with. ' +
    `Try using a key other than '${name}' if you meant to execute a different request.`
  return failure(400, { type: 'idempotency_error', message })
}

/** Its answer to too many requests. It does not say how long to wait. */
export const TOO_MANY = failure(429, {
  code: 'rate_limit',
  message:
    'Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.',
})
