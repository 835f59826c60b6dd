import { describe, expect, it } from 'vitest'
import type { AnswerRuleSpec } from '@sluice/contracts/specs/answer-specs'
import { AnswerBody } from './answer-body.ts'
import { parseJsonPath } from './json-path.ts'
import { compileAnswerRules, meaningOf, reasonAt } from './answer-rules.ts'

/** Returns the outcome of the rule that fits the answer, or `default`, or `unclear`. */
function meaning(
  rules: readonly AnswerRuleSpec[],
  status: number,
  text = '',
  cut: string | null = null,
): string {
  const found = meaningOf(compileAnswerRules(rules), status, new AnswerBody(text, cut))
  return found.kind === 'rule' ? found.rule.as : found.kind
}

describe('a rule for answers', () => {
  it.each([
    [409, 409, 'exists'],
    [409, 408, 'default'],
    ['4xx', 400, 'exists'],
    ['4xx', 499, 'exists'],
    ['4xx', 500, 'default'],
    ['2xx', 204, 'exists'],
    [[404, 410], 410, 'exists'],
    [[404, '5xx'], 503, 'exists'],
    [[404, '5xx'], 410, 'default'],
  ] as const)('for %j and the status %i gives %s', (status, answered, expected) => {
    const wanted = typeof status === 'object' ? [...status] : status
    expect(meaning([{ status: wanted, as: 'exists' }], answered)).toBe(expected)
  })

  it.each([
    ['{"errors":[{"code":1}]}', 'rejected'],
    ['{"errors":[0]}', 'rejected'],
    ['{"errors":[""]}', 'rejected'],
    ['{"errors":[]}', 'default'],
    ['{"errors":[null]}', 'default'],
    ['{"errors":[false]}', 'default'],
    ['{}', 'default'],
    ['', 'default'],
    ['<html>$.errors[0]</html>', 'default'],
  ])('that looks for $.errors[0] in %s gives %s', (text, expected) => {
    expect(meaning([{ status: '2xx', json: '$.errors[0]', as: 'rejected' }], 200, text)).toBe(expected)
  })

  it('that looks for several values fits where one of them is there', () => {
    const rules: AnswerRuleSpec[] = [{ status: 207, json: '$[*].error', as: 'unknown' }]
    expect(meaning(rules, 207, '[{"error":null},{"error":"x"}]')).toBe('unknown')
    expect(meaning(rules, 207, '[{"error":null},{"error":false}]')).toBe('default')
  })

  it('that looks for a text fits where the body contains it', () => {
    const rules: AnswerRuleSpec[] = [{ status: 500, body: 'Client', as: 'rejected' }]
    expect(meaning(rules, 500, '<fault>env:Client</fault>')).toBe('rejected')
    expect(meaning(rules, 500, '<fault>env:client</fault>')).toBe('default')
  })

  it('fits only with all of its parts, and the first one that fits decides', () => {
    const rules: AnswerRuleSpec[] = [
      { status: 400, json: '$.code', body: 'dup', as: 'exists' },
      { status: '4xx', body: 'dup', as: 'unknown' },
      { status: 400, as: 'throttled' },
    ]
    expect(meaning(rules, 400, '{"code":"dup"}')).toBe('exists')
    expect(meaning(rules, 400, 'dup')).toBe('unknown')
    expect(meaning(rules, 400, '{"code":"other"}')).toBe('throttled')
    expect(meaning(rules, 404, 'other')).toBe('default')
  })

  it('leaves unclear what may stand in the part of a body that was not read', () => {
    const cut = 'the answer is longer'
    const json: AnswerRuleSpec = { status: 200, json: '$.errors[0]', as: 'rejected' }
    const body: AnswerRuleSpec = { status: 200, body: 'oops', as: 'rejected' }
    expect(meaning([json], 200, '{"errors":[1],"rest":"', cut)).toBe('unclear')
    expect(meaning([json], 200, '12', cut)).toBe('unclear')
    expect(meaning([body], 200, 'some', cut)).toBe('unclear')
    expect(meaning([body], 200, 'some oops', cut)).toBe('rejected')
    // Another part of the rule tells that it cannot fit, whatever is in the rest.
    expect(meaning([json, body], 404, 'x', cut)).toBe('default')
    // An earlier rule that fits needs no look at it.
    expect(meaning([{ status: 200, as: 'delivered' }, json], 200, 'x', cut)).toBe('delivered')
    expect(meaningOf(compileAnswerRules([json]), 200, new AnswerBody('x', cut))).toEqual({
      kind: 'unclear',
      why: cut,
    })
  })

  it('leaves unclear what is nested deeper than can be read', () => {
    const deep = '['.repeat(200_000) + ']'.repeat(200_000)
    const rules: AnswerRuleSpec[] = [{ status: 200, json: '$[0]', as: 'rejected' }]
    expect(meaning(rules, 200, deep)).toBe('unclear')
  })

  it('with a wrong path is refused', () => {
    expect(() => compileAnswerRules([{ status: 200, json: '$..x', as: 'rejected' }])).toThrow(
      expect.objectContaining({ code: 'config' }),
    )
  })
})

describe('the reason that an answer gives', () => {
  it.each([
    ['$.message', '{"message":"no such city"}', 'no such city'],
    ['$.errors[*].text', '{"errors":[{"text":"first"},{"text":"second"}]}', 'first'],
    ['$.message', '{"message":{"code":9223372036854775807}}', '{"code":9223372036854775807}'],
    ['$.message', '{"message":null}', null],
    ['$.message', '{}', null],
    ['$.message', 'Bad Request', null],
  ])('at %s of %s is %j', (text, body, reason) => {
    const parsed = parseJsonPath(text)
    const path = parsed.kind === 'path' ? parsed.path : null
    expect(path).not.toBeNull()
    expect(reasonAt(path, new AnswerBody(body, null))).toBe(reason)
    expect(reasonAt(path, new AnswerBody(body, 'the answer is longer'))).toBeNull()
  })
})
