import { connect } from 'node:net'

/**
 * Connects, sends the bytes (if any) and resolves with the first bytes of the answer. Rejects after a second.
 */
export function exchange(port: number, request: Uint8Array | string | null): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port })
    const finish = (settle: () => void) => {
      socket.destroy()
      settle()
    }
    socket.setTimeout(1_000, () => finish(() => reject(new Error('no answer'))))
    socket.once('error', error => finish(() => reject(error)))
    socket.once('close', () => reject(new Error('closed without an answer')))
    socket.once('connect', () => {
      if (request !== null) socket.write(request)
    })
    socket.once('data', data => finish(() => resolve(data)))
  })
}
