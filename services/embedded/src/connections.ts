/** The connections that `validate --connect` tries, with the secrets of the environment. */
import { SluiceError } from '@sluice/contracts/errors'
import { assertKeyColumns } from '@sluice/change-detector/detect/key-columns'
import { templateColumns } from '@sluice/change-detector/detect/template-columns'
import type { Connections } from '@sluice/control/check-connections'
import type { HttpSender } from '@sluice/http-sender/port'
import { assertSendable } from '@sluice/project/checks/assert-secrets'
import type { Environment } from '@sluice/runtime/environment'
import type { Source } from '@sluice/sources/port'
import type { SourceSpec } from '@sluice/contracts/resources'

/** How long `validate` waits for the answer of a destination. */
const KNOCK_TIMEOUT_MS = 10_000

/** Opens the connections. */
export interface Openers {
  readonly openSource: (spec: SourceSpec) => Promise<Source>
  readonly openSender: () => HttpSender
}

export function connectionsWith(env: Environment, { openSource, openSender }: Openers): Connections {
  return {
    async describe(spec, model, signal) {
      await using source = await openSource(spec)
      return await source.describe(model, { signal })
    },
    async excessRights(spec, signal) {
      // A source on files has no login, and would start a process for nothing.
      if (spec.type === 'duckdb') return []
      await using source = await openSource(spec)
      return (await source.excessRights?.({ signal })) ?? []
    },
    assertKey: assertKeyColumns,
    assertTemplates: (definition, columns) => templateColumns(definition).assertKnown(columns),
    assertSendable: destination => assertSendable(destination, env),
    async reach({ baseUrl: url }, signal) {
      await using sender = openSender()
      const request = { method: 'HEAD', url, headers: {}, body: null, timeoutMs: KNOCK_TIMEOUT_MS, signal }
      const result = await sender.send(request)
      if (result.kind === 'answered') return
      const message = `${url} does not answer: ${result.error}`
      throw new SluiceError('unreachable', message, { details: [{ field: 'baseUrl', message }] })
    },
  }
}
