import { describe, expect, it } from 'vitest'
import { placeOfCommand } from './commands-as-links.ts'

const RUN = '01JD3XKQ7M8N9P0QRSTVWXYZ12'

describe('a command in a message', () => {
  it.each([
    ['sluice syncs', '/', 'the overview'],
    ['sluice runs', '/runs', 'the page Runs'],
    ['sluice runs people', '/runs?sync=people', 'the runs of people'],
    [`sluice runs show ${RUN}`, `/runs/${RUN}`, 'the run'],
    ['sluice run people', '/syncs/people', '“Run now” of people'],
    ['sluice run people --wait', '/syncs/people', '“Run now” of people'],
    [`sluice cancel ${RUN}`, `/runs/${RUN}`, '“Cancel” of that run'],
    [`sluice approve ${RUN}`, `/runs/${RUN}`, '“Approve” of that run'],
    ['sluice failed people', '/syncs/people', 'the page of people'],
    ['sluice retry people', '/syncs/people', '“Retry all…” of people'],
    ['sluice resync people --as changed', '/syncs/people', '“Resync” of people'],
    ['sluice reset people', '/syncs/people', '“Reset” of people'],
    ['sluice auth crm', '/resources/destination/crm', '“Log in” of crm'],
    ['sluice secret set crm-key', '/secrets?set=crm-key', '“Set the secret crm-key”'],
    [
      'sluice secret set crm-key --for "b.example.com:443 destination"',
      '/secrets?set=crm-key&for=b.example.com%3A443%20destination',
      '“Set the secret crm-key”',
    ],
    ['sluice secret set crm --for b.test', '/secrets?set=crm&for=b.test', '“Set the secret crm”'],
    ['sluice secret set NAME', '/secrets', '“Set a secret”'],
    ['sluice row people --key 7', '/syncs/people/row?key=7', 'the row 7 of people'],
    ['sluice preview people', '/syncs/people/edit?step=review', 'the review of people'],
    ['sluice replay people --since 1d', '/requests?sync=people', '“Replay…” at the requests of people'],
    ['sluice alerts test mine', '/alerts', 'the page Alerts'],
    ['sluice secret list', '/secrets', 'the page Secrets'],
    ['sluice attempts --json', '/requests', 'the page Requests'],
    ['sluice doctor', '/system', 'the page System'],
  ])('%s leads to %s', (code, href, text) => {
    expect(placeOfCommand(code)).toEqual({ href, text })
  })

  it.each([
    'sluice apply --take-over',
    'sluice diff',
    `sluice row people --key '["eu", 7]'`,
    'sluice',
    'sluice up',
    'sluice auth DESTINATION',
    'sluice approve RUN',
    'sluice runs show',
    'select 1',
    'name',
  ])('%s stays as it is', code => {
    expect(placeOfCommand(code)).toBeNull()
  })
})
