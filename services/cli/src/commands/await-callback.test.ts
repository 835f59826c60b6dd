import { Readable } from 'node:stream'
import { afterEach, describe, expect, it } from 'vitest'
import { listenForCallback, type Callback } from './await-callback.ts'

const { signal } = new AbortController()
const opened: Callback[] = []
afterEach(async () => {
  for (const callback of opened.splice(0)) await callback[Symbol.asyncDispose]()
})
const listening = async (configured: string | null): Promise<Callback> => {
  const callback = await listenForCallback(configured, 0)
  opened.push(callback)
  return callback
}
const codeOf = (url: URL): string => {
  const code = url.searchParams.get('code')
  if (code === null) throw new Error('It has no code.')
  return code
}
const idle = { stdin: Readable.from([]), tell: () => undefined, signal }

describe('the end of a login', () => {
  it('comes by the browser, whatever else asks there before', async () => {
    const callback = await listening(null)
    expect(callback.redirectUri).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback$/)
    const found = callback.first(codeOf, idle)
    const status = async (url: string): Promise<number> => (await fetch(url)).status
    expect(await status(new URL('/favicon.ico', callback.redirectUri).href)).toBe(400)
    expect(await status(callback.redirectUri)).toBe(400)
    expect(await status(`${callback.redirectUri}?code=abc`)).toBe(200)
    expect(await found).toBe('abc')
  })

  it('may be pasted, line by line, and what is none is told', async () => {
    const callback = await listening(null)
    const told: string[] = []
    const stdin = Readable.from([
      'nonsense\nhttp://x/call',
      'back?state=1\n',
      ' http://x/callback?code=abc \n',
    ])
    expect(await callback.first(codeOf, { stdin, tell: text => void told.push(text), signal })).toBe('abc')
    expect(told).toEqual([
      'That is no URL. Paste the whole URL that the browser was sent to.',
      'It has no code. Paste the whole URL that the browser was sent to.',
    ])
  })

  it('at an address of another machine can only be pasted', async () => {
    const callback = await listening('https://app.example.com/done')
    expect(callback.redirectUri).toBe('https://app.example.com/done')
    const stdin = Readable.from(['https://app.example.com/done?code=abc'])
    expect(await callback.first(codeOf, { ...idle, stdin })).toBe('abc')
  })

  it('is no longer waited for once the person interrupts', async () => {
    const callback = await listening(null)
    const interrupt = new AbortController()
    const found = callback.first(codeOf, { ...idle, signal: interrupt.signal })
    interrupt.abort(new Error('interrupted'))
    await expect(found).rejects.toThrow('interrupted')
  })
})
