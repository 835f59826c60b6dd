/** How requests name their sender, where a destination or a trigger does not say otherwise. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'

const packageJson = z.object({ version: z.string() })
const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')

export const USER_AGENT = `sluice/${packageJson.parse(JSON.parse(text)).version}`
