import { describe, expect, it } from 'vitest'
import { baseUrlFault, fixedHeaderFault, fixedQueryFault, isHost, plainBaseUrl } from './http-texts.ts'
import { destination } from '../resources.ts'

describe('a base URL', () => {
  it.each([
    ['https://api.test', 'https://api.test'],
    ['HTTPS://API.test/V1/', 'https://api.test/V1/'],
    ['HtTp://h', 'http://h'],
    [' \n https://api.test/v1 \n', 'https://api.test/v1'],
    ['http://h:8080', 'http://h:8080'],
    ['http://h:80/x', 'http://h/x'],
    ['https://h:443', 'https://h'],
    ['http://[::1]:8080/x', 'http://[::1]:8080/x'],
    ['http://[0:0:0:0:0:0:0:1]/x', 'http://[::1]/x'],
    ['http://127.0.0.1:1', 'http://127.0.0.1:1'],
    ['http://my_service:80/x', 'http://my_service/x'],
    ['http://xn--bcher-kva.example', 'http://xn--bcher-kva.example'],
    ['http://bücher.example/ü', 'http://xn--bcher-kva.example/%C3%BC'],
    ['http://h/a%20b/%7B', 'http://h/a%20b/%7B'],
    ["http://h/a;b=c,d/@x:y/!$&'()*+~", "http://h/a;b=c,d/@x:y/!$&'()*+~"],
    ['http://h/..a/b../...', 'http://h/..a/b../...'],
    ['http://h//x//', 'http://h//x//'],
    ['http://h.', 'http://h.'],
    ['HTTP://H/hooks/${secret:a}/${secret:b-c}', 'http://h/hooks/${secret:a}/${secret:b-c}'],
  ])('%j is sent as %s', (written, plain) => {
    expect(baseUrlFault(written)).toBeNull()
    expect(plainBaseUrl(written)).toBe(plain)
    expect(baseUrlFault(plain)).toBeNull()
    expect(plainBaseUrl(plain)).toBe(plain)
  })

  it.each([
    ['', 'without user, password, query or fragment'],
    ['api.test', 'without user, password, query or fragment'],
    ['//api.test', 'without user, password, query or fragment'],
    ['ftp://api.test', 'without user, password, query or fragment'],
    ['http:/api.test', 'without user, password, query or fragment'],
    ['http:api.test', 'without user, password, query or fragment'],
    ['http:///x', 'without user, password, query or fragment'],
    ['http://', 'without user, password, query or fragment'],
    ['http://{{ host }}/x', 'without Liquid'],
    ['http://h/{% if a %}', 'without Liquid'],
    ['http://h:1\\x', 'without `\\`'],
    ['http://h/a\\b', 'without `\\`'],
    ['http:\\\\h', 'without user, password, query or fragment'],
    ['http://h/a b', 'without white space'],
    ['http://h /a', 'without white space'],
    ['http://h/a\tb', 'without white space'],
    ['http://h/a\nb', 'without white space'],
    ['http://h/a\u00a0b', 'without white space'],
    ['http://h/a\u0000b', 'without white space'],
    ['http://user:pass@h', 'without user and password'],
    ['http://user@h', 'without user and password'],
    ['http://@h', 'without user and password'],
    ['http://h:', 'a port after the `:`'],
    ['http://h:0', 'a port from 1 to 65535'],
    ['http://h:65536', 'a port from 1 to 65535'],
    ['http://h:99999', 'a port from 1 to 65535'],
    ['http://h:8o', 'a port from 1 to 65535'],
    ['http://::1', 'between brackets'],
    ['http://[::1', 'a port from 1 to 65535'],
    ['http://[gg::1]', 'with the name or address of a host'],
    ['http://:80', 'with the name or address of a host'],
    ['http://a<b', 'with the name or address of a host'],
    ['http://{account}.h', 'with the name or address of a host'],
    ['http://h/{account}', 'percent-encoded'],
    ['http://1.2.3.400', 'with the name or address of a host'],
    ['http://010.0.0.1', 'read as `8.0.0.1`'],
    ['http://0x7f.1', 'read as `127.0.0.1`'],
    ['http://1.2.3', 'read as `1.2.0.3`'],
    ['http://a%62c', 'read as `abc`'],
    ['http://h?a=b', 'go into `query`'],
    ['http://h/x?', 'go into `query`'],
    ['http://h/x#y', 'without `#`'],
    ['http://h#', 'without `#`'],
    ['http://h/100%', 'write %25'],
    ['http://h/100%/x', 'write %25'],
    ['http://h/%zz', 'write %25'],
    ['http://h/a/../b', 'without `.` and `..`'],
    ['http://h/.', 'without `.` and `..`'],
    ['http://h/%2E%2e/x', 'without `.` and `..`'],
    ['http://h/a|b', 'percent-encoded'],
    ['http://h/"a"', 'percent-encoded'],
    ['http://h/\ud800', 'without half a character'],
    ['${secret:url}', 'a secret stands in the path alone'],
    ['http://${secret:host}/x', 'a secret stands in the path alone'],
    ['http://h:${secret:port}/x', 'a secret stands in the path alone'],
    ['http://h/${secret:a}?b', 'go into `query`'],
    ['http://h/$${secret:a}', 'percent-encoded'],
  ])('%j is refused', (written, why) => {
    expect(baseUrlFault(written)).toMatch(/^an http:\/\/ or https:\/\/ URL /)
    expect(baseUrlFault(written)).toContain(why)
    expect(destination.safeParse({ kind: 'destination', name: 'd', baseUrl: written }).success).toBe(false)
  })
})

describe('a header', () => {
  it.each([
    ['X', 'plain'],
    ['X', ''],
    ['X', 'tab\tand é'],
    ['X', 'Bearer ${secret:token}'],
    ['X', '{ "a": 1 }'],
    ['Host', 'h'],
    ['Host', 'h:1'],
    ['host', '[::1]:65535'],
  ])('%s: %j is right', (name, value) => {
    expect(fixedHeaderFault(name, value)).toBeNull()
  })

  it.each([
    ['X', 'a\nb', 'line breaks'],
    ['X', 'a\rb', 'line breaks'],
    ['X', 'a\u0000b', 'control characters'],
    ['X', 'a\u007fb', 'control characters'],
    ['X', 'a – b', '"–" (U+2013)'],
    ['X', '“a”', 'Latin-1'],
    ['X', '😀', '"😀" (U+1F600)'],
    ['X', '{{ row.id }}', 'without Liquid'],
    ['Host', 'a b', 'a host'],
    ['Host', '', 'a host'],
    ['HOST', 'http://h', 'a host'],
    ['host', 'h/x', 'a host'],
    ['host', 'h:', 'a host'],
    ['host', 'h:0', 'a host'],
    ['host', 'h,i', 'a host'],
    ['host', 'é', 'a host'],
    ['host', '[x]', 'a host'],
  ])('%s: %j is refused', (name, value, why) => {
    expect(fixedHeaderFault(name, value)).toContain(why)
  })

  it('stands once, whatever the case of its name, and is no idempotency key', () => {
    const issuesOf = (headers: object, more: object = {}) =>
      destination
        .safeParse({ kind: 'destination', name: 'd', baseUrl: 'http://h', headers, ...more })
        .error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
    expect(issuesOf({ 'X-A': '1', 'x-a': '1' })).toEqual(['headers.x-a: each header once: `X-A` is the same'])
    const clash = expect.stringMatching(
      /^headers.idempotency-key: no `idempotency-key` here: .* `idempotencyHeader: false`/,
    )
    expect(issuesOf({ 'idempotency-key': '1' })).toEqual([clash])
    expect(issuesOf({ 'Idempotency-Key': '1' }, { idempotencyHeader: false })).toBeUndefined()
    expect(issuesOf({ 'Idempotency-Key': '1' }, { idempotencyHeader: 'X-Key' })).toBeUndefined()
    expect(issuesOf({ 'X-KEY': '1' }, { idempotencyHeader: 'X-Key' })).toHaveLength(1)
    for (const idempotencyHeader of ['Host', 'content-type', 'Authorization', 'Expect'])
      expect(issuesOf({}, { idempotencyHeader })).toHaveLength(1)
  })

  it('is trimmed, and so is the base URL made plain', () => {
    const parsed = destination.parse({
      kind: 'destination',
      name: 'd',
      baseUrl: 'HTTP://H/x',
      headers: { A: ' Bearer x\n' },
    })
    expect(parsed).toMatchObject({ baseUrl: 'http://h/x', headers: { A: 'Bearer x' } })
    expect(destination.parse(parsed)).toEqual(parsed)
  })
})

it('a query parameter has a name, no line break and no Liquid', () => {
  expect(fixedQueryFault('ü & x')).toBeNull()
  expect(fixedQueryFault('a\n')).toContain('line breaks')
  expect(fixedQueryFault('{{ row.id }}')).toContain('without Liquid')
  const query = { '': 'x' }
  expect(destination.safeParse({ kind: 'destination', name: 'd', baseUrl: 'http://h', query }).success).toBe(
    false,
  )
})

it('a host is one that a server takes for one', () => {
  expect(['h', 'a.b-c_d', '1.2.3.4:5', '[fe80::1]'].map(isHost)).toEqual([true, true, true, true])
})
