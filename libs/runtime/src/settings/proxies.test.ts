import { expect, it } from 'vitest'
import { proxySettings } from './proxies.ts'

it('is the proxy of the environment, in upper or lower case, with its exceptions', () => {
  const proxy = { url: 'http://me:secret@proxy:3128', except: '.corp, localhost' }
  expect(proxySettings({ HTTPS_PROXY: proxy.url, NO_PROXY: proxy.except })).toEqual(proxy)
  expect(proxySettings({ https_proxy: proxy.url, no_proxy: proxy.except })).toEqual(proxy)
  expect(proxySettings({ HTTPS_PROXY: proxy.url })).toEqual({ ...proxy, except: '' })
})

it.each([{}, { HTTPS_PROXY: '' }, { HTTP_PROXY: 'http://proxy' }])('is none for %j', env => {
  expect(proxySettings(env)).toBeUndefined()
})

it.each(['proxy', 'socks5://me:secret@proxy:1080', 'http://'])('refuses %s without its password', url => {
  let thrown: unknown
  try {
    proxySettings({ HTTPS_PROXY: url })
  } catch (error) {
    thrown = error
  }
  expect(thrown).toMatchObject({ code: 'config', message: expect.stringContaining('`HTTPS_PROXY`') })
  expect(String(thrown)).not.toContain('secret')
})
