/** Plays random histories on the model of the protocol: npm run histories -- [--runs 100000] [--seed 1]. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { planHistory } from './plan.ts'
import { playHistory } from './play.ts'

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '100000' }, seed: { type: 'string' } },
})
const runs = Number(values.runs)
const first = Number(values.seed ?? randomInt(2 ** 31))
if (!Number.isSafeInteger(runs) || !Number.isSafeInteger(first) || runs < 1) {
  process.stderr.write('usage: npm run histories -- [--runs N] [--seed N], both whole numbers\n')
  process.exit(2)
}
let requests = 0
let leftBehind = 0
for (let seed = first; seed < first + runs; seed += 1) {
  const played = playHistory(planHistory(seed))
  requests += played.requests
  leftBehind += played.leftBehind
}
process.stdout.write(
  `${runs} histories from seed ${first}: ${requests} requests, ${leftBehind} objects left behind under lost ids\n`,
)
