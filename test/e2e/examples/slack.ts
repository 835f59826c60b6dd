/** The example of Slack: a message for each new row, and for nothing else. */
import { expect, it } from 'vitest'
import { HOOK_GONE, RATE_LIMITED, startSlack } from '../../vendors/slack.ts'
import type { Profile } from '../embedded-profile.ts'
import { openExample } from './example.ts'

const HOOK = 'T00000000/B00000000/XqPzR3vKwTnYbLmC8sDfGhJk'

export function slackExample(profile: Profile): void {
  it('Slack gets one message a new row and never two, at the pace that it takes', async ({
    onTestFailed,
  }) => {
    await using slack = await startSlack(HOOK)
    await using example = await openExample(profile, {
      ...{ folder: 'slack', file: 'signups.csv', sync: 'slack-signups' },
      env: { SLACK_URL: slack.url },
      secrets: { 'slack-webhook': HOOK },
    })
    onTestFailed(() => void process.stderr.write(example.logs()))
    expect(await example.run()).toEqual({ added: expect.objectContaining({ detected: 0, requests: 0 }) })

    await example.edit('', '3,"Smith & Sons <""S&S"">",team\n4,Zoë Åström,\n5,Alan Turing,solo\n')
    await example.edit('1,Ada Lovelace', '1,Ada King')
    await example.edit('2,Grace Hopper,solo\n', '')
    // Slack answers one message with: the webhook is gone.
    slack.answerNext({ body: 'Alan' }, HOOK_GONE)
    // Another message is posted, and the answer that says so is lost.
    slack.loseAnswers({ body: 'Zoë' }, 1)
    expect(await example.run(3)).toMatchObject({
      added: { delivered: 1, rejected: 1, unknown: 1, requests: 3 },
    })
    expect([...slack.messages].sort()).toEqual([
      'New signup: *Smith &amp; Sons &lt;"S&amp;S"&gt;* (team)',
      'New signup: *Zoë Åström* (no plan)',
    ])
    const [first = 0, last = 0] = [slack.requests[0]?.arrivedAt, slack.requests.at(-1)?.arrivedAt]
    expect(last - first).toBeGreaterThan(1700)
    expect(await example.failed()).toMatchObject([
      { key: '4', outcome: 'unknown' },
      { key: '5', error: 'HTTP 404: no_service' },
    ])

    // Once there is a webhook again, the message says what the row is by then. Zoë's is not posted twice.
    await example.edit('5,Alan Turing,solo', '5,Alan Turing,team')
    slack.answerNext({}, RATE_LIMITED)
    expect(await example.run()).toMatchObject({ added: { delivered: 1 } })
    expect(slack.requests).toHaveLength(5)
    expect(slack.messages.slice(2)).toEqual(['New signup: *Alan Turing* (team)'])
    await example.expectNoSecrets({ preview: true })
  })
}
