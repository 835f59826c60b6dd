/** The section of the reference about each field of a form. */
import type { Editing } from './use-editing.ts'
import type { Path } from './draft.ts'

/** The address at which `docs/` is read. The server has the reference of its own version (docs-pages.mjs). */
const DOCS = '/docs/'

type Sections = readonly (readonly [field: RegExp, section: string])[]

/** By the kind of the resource, the fields and their sections. The first one that fits counts. */
const SECTIONS: { readonly [kind in Editing['kind']]: Sections } = {
  source: [
    [/^(?:type|path)$/, 'docs/reference/source.md#duckdb'],
    [/^allowPrivateNetwork$/, 'docs/reference/source.md#private-networks-of-sources'],
    [/^follow\b/, 'docs/STREAMS.md#postgresql-by-follow'],
    [/^(?:brokers|sasl|registry)$/, 'docs/reference/source.md#kafka'],
    [/^(?:url|password|tls|ssl)\b/, 'docs/reference/source.md#postgres'],
  ],
  model: [
    [/^(?:sql|table)$/, 'docs/reference/model.md#the-query'],
    [/^(?:topic|format)$/, 'docs/reference/model.md#topics'],
    [/^primaryKey\b/, 'docs/reference/model.md#keys'],
    [/^invalidRows\b/, 'docs/reference/model.md#invalid-rows'],
  ],
  destination: [
    [/^baseUrl$/, 'docs/reference/destination.md#baseurl'],
    [/^(?:headers|query)$/, 'docs/reference/destination.md#headers-and-query'],
    [/^idempotencyHeader$/, 'docs/reference/destination.md#the-idempotency-key'],
    [/^auth\.oauth2\b/, 'docs/reference/destination.md#oauth2'],
    [/^auth\b/, 'docs/reference/destination.md#auth'],
    [/^tls\b/, 'docs/reference/destination.md#tls'],
    [/^breaker$/, 'docs/reference/destination.md#breaker'],
    [/^allowPrivateNetwork$/, 'docs/reference/destination.md#private-networks'],
    [/^limits\b/, 'docs/reference/destination.md#limits'],
  ],
  sync: [
    [/^labels$/, 'docs/reference/sync.md#labels'],
    [/^schedule(?:\.cron|\.every)?$/, 'docs/reference/sync.md#schedules'],
    [/^(?:slice\b|errors\.retryAfter$)/, 'docs/reference/sync.md#streams'],
    [/^compare$/, 'docs/reference/sync.md#changed-rows'],
    [/^errors\.(?:retry|attempts|backoff|giveUpAfter)\b/, 'docs/reference/sync.md#retries'],
    [/^errors\.splitBatches$/, 'docs/reference/answers.md#splitbatches'],
    [/^errors\.answers$/, 'docs/reference/answers.md#rules-for-answers'],
    [/^errors\.rowResults$/, 'docs/reference/answers.md#rows-of-a-batch'],
    [/^maxDuration$/, 'docs/reference/sync.md#maxduration'],
    [/^delivery$/, 'docs/reference/sync.md#delivery-at-most-once'],
    [/^removalGuard$/, 'docs/reference/sync.md#removal-guard'],
    [/^limits\b/, 'docs/reference/destination.md#limits'],
    [/^triggers\.\w+\.batch\b/, 'docs/reference/trigger.md#batches'],
    [/^triggers\.\w+\.capture$/, 'docs/reference/trigger.md#captured-values'],
    [/^triggers\.\w+\.allowEmpty$/, 'docs/reference/trigger.md#silent-requests'],
    [/^triggers\.\w+\.body\.fields$/, 'docs/reference/trigger.md#fields'],
    [/^triggers\.\w+\.body$/, 'docs/reference/trigger.md#bodies'],
    [/^triggers\.\w+\.body\.(?:json|xml|text\.template)$/, 'docs/reference/templates.md'],
    [/^triggers\.\w+\.(?:path|headers)$/, 'docs/reference/templates.md'],
    [/^triggers\.\w+$/, 'docs/reference/trigger.md'],
    [/^(?:firstRun|timeout|partitions|paused)$/, 'docs/reference/sync.md'],
  ],
  alert: [
    [/^when\b/, 'docs/reference/alert.md#conditions'],
    [/^to\.webhook\b/, 'docs/reference/alert.md#webhook'],
    [/^to\.(?:slack|email)\b/, 'docs/reference/alert.md#slack-and-email'],
    [/^to$/, 'docs/reference/alert.md#notices'],
  ],
}

/**
 * Returns the address of the section about a field. Undefined if the reference says no more than the form.
 */
export function docsOf({ kind }: Pick<Editing, 'kind'>, path: Path): string | undefined {
  const field = path.join('.')
  const [, section] = SECTIONS[kind].find(([fields]) => fields.test(field)) ?? []
  return section?.replace(/^docs\//, DOCS).replace(/\.md(?=#|$)/, '.html')
}
