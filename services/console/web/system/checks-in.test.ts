import { expect, it } from 'vitest'
import { checksIn } from './checks-in.ts'

it('reads the checks of a server, of this version and of earlier ones', () => {
  const since = '2026-11-27T09:14:02.511Z'
  const said = {
    status: 'unavailable',
    checks: { started: { ok: true, since }, work: { ok: false, detail: 'Redis does not answer' } },
  }
  expect(checksIn(JSON.stringify(said))).toEqual([
    { name: 'started', ok: true, detail: null, since },
    { name: 'work', ok: false, detail: 'Redis does not answer', since: null },
  ])
})

it.each(['', '<html>Bad gateway</html>', 'null', '[]', '{"checks":7}', '{"checks":null}'])(
  'finds none in %j',
  text => {
    expect(checksIn(text)).toEqual([])
  },
)
