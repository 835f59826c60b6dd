/** The versions of a resource, as the log has them. */
import type { ResourceHistoryView } from '@sluice/contracts/api/resources'
import type { ResourceRecord } from '@sluice/contracts/document-records'
import type { ResourceKind } from '@sluice/contracts/resources'
import { versionOf, type StoredResources } from '@sluice/resources/stored-resources'
import { differences } from './resource-plan.ts'
import { isoTime } from '@sluice/domain/iso-time'
import { specOf, textView, writtenFields } from './written-resource.ts'

type Version = ResourceHistoryView['versions'][number]

/** The versions of a resource, the newest first; none if there never was such a resource. */
export function historyOf(
  { kind, name }: { readonly kind: ResourceKind; readonly name: string },
  { resources, past }: StoredResources,
): readonly Version[] {
  const present = resources.get(`${kind}/${name}`)
  const records = [...past.values()].filter(
    record => record.name === `${kind}/${name}/${record.version ?? 0}`,
  )
  if (present !== undefined) records.push(present)
  const sorted = records.sort((one, other) => versionOf(one) - versionOf(other))
  return sorted
    .map((record, index) => versionView(record, { kind, name, before: sorted[index - 1] }))
    .reverse()
}

function versionView(
  record: ResourceRecord,
  {
    kind,
    name,
    before,
  }: { readonly kind: ResourceKind; readonly name: string; readonly before: ResourceRecord | undefined },
): Version {
  const specIn = (version: ResourceRecord | undefined) =>
    version === undefined || version.spec === '' ? null : specOf({ kind, name, spec: version.spec })
  const spec = specIn(record)
  const old = specIn(before)
  const action = record.spec === '' ? 'delete' : old === null ? 'create' : 'update'
  return {
    ...{ version: versionOf(record), at: isoTime(record.at), by: record.by, project: record.project },
    ...{ action, fields: action === 'update' ? differences(old, spec).map(({ field }) => field) : [] },
    spec: spec === null ? null : { ...writtenFields(spec) },
    ...(spec === null ? {} : textView(record)),
  }
}
