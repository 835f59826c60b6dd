/** Notices show answers of APIs and values of rows safely in mails and channels. */
import type { AlertNotice } from '@sluice/contracts/specs/alert-views'
import { expect, it } from 'vitest'
import { htmlText, plainText, slackText, subjectOf } from './notice-texts.ts'

const HOSTILE =
  '</li><script>x()</script>\r\nBcc: eve@example.com <!channel> <http://evil.example|Open> \u001b[2J\u202eneddih\u2066 &amp;'
const NOTICE: AlertNotice = {
  ...{ id: 'n', alert: 'a', sync: 's', condition: null, state: 'firing', link: null, run: null, todo: null },
  ...{ at: '2026-01-01T00:00:00.000Z', since: '2026-01-01T00:00:00.000Z', title: HOSTILE, text: HOSTILE },
  errors: [{ message: HOSTILE, rows: 1, key: HOSTILE }],
}

it('an answer of an API turns no text, begins no line, and is no markup', () => {
  const slack = slackText(NOTICE)
  const texts = [subjectOf(NOTICE), plainText(NOTICE), htmlText(NOTICE), slack]
  for (const text of texts) expect(text).not.toMatch(/[\p{Bidi_Control}\u001b\r]|^Bcc:/mu)
  expect(subjectOf(NOTICE)).not.toContain('\n')
  expect(htmlText(NOTICE)).not.toMatch(/<script|<a /)
  expect(slack).not.toMatch(/<!channel|<http/)
})
