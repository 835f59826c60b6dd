/** Compresses the answers of the API for clients that take them so. Event streams stay as they are. */
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { FastifyInstance } from 'fastify'

/** A shorter answer fits into one packet as it is. */
const MIN_BYTES = 1_400
/** Half of the time of the usual level, for answers of nearly the same size. */
const LEVEL = 4
const JSON_TYPE = /^application\/(?:problem\+)?json\b/

const compressed = promisify<string | Buffer, { readonly level: number }, Buffer>(gzip)

/**
 * Adds the compression to a server. The work is done beside the thread that answers. An answer keeps its
 * `ETag`, since clients give it back with `If-Match`, and no answer is stored.
 */
export function compressAnswers(app: FastifyInstance): void {
  app.addHook('onSend', async (request, reply, payload) => {
    if (typeof payload !== 'string' && !Buffer.isBuffer(payload)) return payload
    if (!JSON_TYPE.test(String(reply.getHeader('content-type') ?? ''))) return payload
    reply.header('vary', 'accept-encoding')
    const { 'accept-encoding': accepted } = request.headers
    if (Buffer.byteLength(payload) < MIN_BYTES || !takesGzip(accepted)) return payload
    reply.header('content-encoding', 'gzip')
    return await compressed(payload, { level: LEVEL })
  })
}

/** True if a client's `Accept-Encoding` names gzip, without the weight 0. */
export function takesGzip(accepted: string | readonly string[] | undefined): boolean {
  const named = String(accepted ?? '')
    .split(',')
    .map(each => each.trim().toLowerCase().replaceAll(' ', ''))
  return named.some(each => /^(?:gzip|x-gzip)(?:;|$)/.test(each) && !/;q=0(?:\.0*)?$/.test(each))
}
