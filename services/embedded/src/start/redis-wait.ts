/** What the services of this profile wait for when they start. */
import type { Wait } from '@sluice/contracts/run-records'
import { parseRedisAddress } from '@sluice/redis/redis-address'
import type { Environment } from '@sluice/runtime/environment'
import { redisSettings } from '@sluice/runtime/service-config'

/** For Redis, if the environment names one. Throws `config`. */
export function redisWait(env: Environment): Wait | null {
  const settings = redisSettings(env)
  if (settings === null) return null
  const { shown } = parseRedisAddress(settings.redis.url)
  const detail = `Redis at ${shown} does not answer yet: start it, or put SLUICE_REDIS_URL right`
  return { kind: 'limits-store', since: Date.now(), until: null, detail }
}
