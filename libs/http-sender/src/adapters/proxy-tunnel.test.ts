import { expect, it } from 'vitest'
import { isReachedDirectly } from './proxy-tunnel.ts'

it.each([
  ['api.example', 443, '', false],
  ['api.example', 443, '*', true],
  ['api.example', 443, 'api.example', true],
  ['API.Example', 443, 'other, api.EXAMPLE', true],
  ['api.example', 443, 'example', true],
  ['api.example', 443, '.example', true],
  ['api.example', 443, '*.example', true],
  ['myexample', 443, 'example', false],
  ['api.example', 8443, 'api.example:443', false],
  ['api.example', 8443, 'api.example:8443', true],
  ['10.0.0.7', 443, '10.0.0.7', true],
  ['[::1]', 443, '::1', true],
  ['[::1]', 443, '[::1]:443', true],
  ['[::1]', 443, '[::1]:80', false],
])('%s, port %i, is reached without a proxy if the exceptions are "%s": %s', (host, port, except, direct) => {
  expect(isReachedDirectly(host, port, except)).toBe(direct)
})
