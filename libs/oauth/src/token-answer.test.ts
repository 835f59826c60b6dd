import { describe, expect, it } from 'vitest'
import { readTokenAnswer as readAnswer } from './token-answer.ts'

const token = (fields: object): object => ({ access_token: 'a', ...fields })
const readTokenAnswer = (status: number, body: string) => readAnswer({ status, body }, text => text)
const read = (body: object, status = 200) => readTokenAnswer(status, JSON.stringify(body))

describe('the answer of a token endpoint', () => {
  it.each([
    [3600, 3_600_000],
    ['3600', 3_600_000],
    [' 60 ', 60_000],
    [1.5, 1_500],
    [1e-9, 1_000],
    [1e12, 365 * 86_400_000],
    [undefined, null],
    [null, null],
    ['', null],
    ['soon', null],
    [0, null],
    [-5, null],
    [true, null],
  ])('says by expires_in: %j how long the token counts', (given, lifeMs) => {
    expect(read(token({ expires_in: given }))).toMatchObject({ kind: 'token', lifeMs })
  })

  it.each([
    ['bearer', 'Bearer'],
    ['BEARER', 'Bearer'],
    [undefined, 'Bearer'],
    ['N_A', 'Bearer'],
    ['DPoP', 'DPoP'],
  ])('of type %j is sent as %s', (token_type, type) => {
    expect(read(token({ token_type }))).toMatchObject({ type })
  })

  it('need not have a refresh token, and may be a form', () => {
    expect(read(token({}))).toMatchObject({ refreshToken: null })
    expect(readTokenAnswer(200, 'access_token=a&expires_in=60&refresh_token=r')).toEqual({
      ...{ kind: 'token', accessToken: 'a', type: 'Bearer', lifeMs: 60_000, refreshToken: 'r' },
    })
  })

  it.each([
    [
      400,
      { error: 'invalid_grant', error_description: 'too old' },
      'HTTP 400: invalid_grant: too old',
      false,
    ],
    [200, { error: 'bad_code' }, 'HTTP 200: bad_code', false],
    [200, { ok: true }, 'HTTP 200: without `access_token`: {"ok":true}', false],
    [200, { access_token: 5 }, 'HTTP 200: without `access_token`: {"access_token":"***"}', false],
    [503, { error: 'invalid_grant' }, 'HTTP 503: invalid_grant', true],
    [429, {}, 'HTTP 429: {}', true],
    [400, { error: 'temporarily_unavailable' }, 'HTTP 400: temporarily_unavailable', true],
  ])('%i %j is no token', (status, body, message, mayPass) => {
    expect(read(body, status)).toMatchObject({ kind: 'refused', message, mayPass })
  })

  it('with a token that no header can carry is refused, without the token', () => {
    const answer = read(token({ access_token: 'a\r\nX-Evil: 1' }))
    expect(answer).toMatchObject({ kind: 'refused', mayPass: false })
    expect(JSON.stringify(answer)).not.toContain('Evil')
    expect(read(token({ token_type: 'a b' }))).toMatchObject({ kind: 'refused' })
  })

  it.each([
    '{"data": {"access_token": "s3cr3t-token", "ok": 1}}',
    '{"token":{"value":"s3cr3t-token"}}',
    '{"authed_user":{"refreshToken":["s3cr3t-token"]}}',
    '{"access_token":"s3cr3t-token","cut":',
    '"{\\"access_token\\":\\"s3cr3t-token\\"}"',
    'ok&access_token=s3cr3t-token&x=1',
    '<a><access_token>s3cr3t-token</access_token></a>',
    "{'id_token': 's3cr3t-token'}",
  ])('that has a token where nobody looks for it is shown without: %j', body => {
    for (const status of [200, 403]) {
      const answer = readTokenAnswer(status, body)
      expect(answer).toMatchObject({ kind: 'refused', message: expect.stringContaining('***') })
      expect(JSON.stringify(answer)).not.toContain('s3cr3t')
    }
  })

  it.each(['', 'null', '[]', '<html>', '{"access_token":', '"text"'])('that is %j is no token', body => {
    expect(readTokenAnswer(200, body)).toMatchObject({ kind: 'refused' })
  })
})
