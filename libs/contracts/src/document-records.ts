/** The records that services look up by name (PROTOCOL.md §1). */
import { z } from 'zod'
import { bytes, field, long, millis, nullable, optional, recordOf, text, type ValueOf } from './avro/types.ts'

/** A resource as applied, on `resources`, keyed by kind/name. */
export const resourceRecord = recordOf('ResourceRecord', 'A resource as applied.', {
  kind: field('Its kind.', text),
  name: field('Its name.', text),
  /** Empty for a resource that was written on a server. */
  project: field('The project that it belongs to.', text),
  spec: field('The resource, as JSON.', text),
  /** It also grows when the name is removed and written again. Null in records of earlier versions. */
  version: field('Grows with each change of the name.', nullable(long)),
  at: field('When it was changed.', nullable(millis)),
  by: field('Who changed it.', nullable(text)),
  /**
   * The text keeps its author's comments. Null if only the fields were written, if the text is too long, and
   * in records of earlier versions.
   */
  text: field('The YAML that the resource was read from.', nullable(text)),
  /**
   * Distinguishes projects that have the same name because they are named after their folders. Null for a
   * project with a name of its own, for a resource that was written on a server, and in records of earlier
   * versions.
   */
  folder: field('The folder of a project that is called like it.', nullable(text)),
})
export type ResourceRecord = ValueOf<typeof resourceRecord>

/** The project that resources are written for. */
export interface Owner {
  readonly project: string
  /** The folder of a project that is named after it. Absent or null for a project with its own name. */
  readonly folder?: string | null | undefined
  /** True for a folder that has not recorded its project yet. It owns the resources of any project in it. */
  readonly isOnly?: boolean | undefined
}

/**
 * A secret, a login or a token of the vault, on `secrets`, keyed by kind/name. Its value is sealed
 * (PROTOCOL.md, "Credentials"): a reader of the topic sees the name, and not the value.
 */
export const secretRecord = recordOf('SecretRecord', 'A secret of the vault, sealed.', {
  kind: field('Who set it: secret (a person) or login (Sluice).', text),
  name: field('Its name.', text),
  /** It also grows when the name is removed and set again. */
  version: field('Grows with each change.', long),
  /** In the form of `SLUICE_SECRET_<NAME>_FOR`. Null if nobody has named hosts. */
  grants: field('Where it may go.', nullable(text)),
  since: field('When it was set.', millis),
  sealedBy: field('Id of the key that it is sealed with.', text),
  sealed: field('Nonce, ciphertext and tag of AES-256-GCM.', bytes),
  /**
   * The name of a token, or of the user of a command. It is not signed. Null if nobody gave a name, and in
   * records of earlier versions.
   */
  by: field('Who set it.', nullable(text)),
  /** Readable by everybody who reads the topic, so it holds no secret. */
  note: optional('What the audit tells of a change, as JSON.', text),
})
export type SecretRecord = ValueOf<typeof secretRecord>

/** The state of an alert for one of its syncs, on `alerts`, keyed by alert/sync. */
export const alertRecord = recordOf('AlertRecord', 'What is known of an alert and a sync.', {
  alert: field('The name of the alert.', text),
  sync: field('The name of the sync.', text),
  state: field('The state, as JSON.', text),
})

/** A definition, on `definitions`, keyed by its hash. */
export const definitionRecord = recordOf('DefinitionRecord', 'What a run works by.', {
  hash: field('Hash of the spec.', text),
  spec: field('Sync, model, source and destination, as JSON.', text),
})
export type DefinitionRecord = ValueOf<typeof definitionRecord>

/** Several resources in one record of `resources`. Each has its key, and is null if it is removed. */
export const setEntries = z.array(
  z.tuple([
    z.string(),
    z
      .object({
        ...{ kind: z.string(), name: z.string(), project: z.string(), spec: z.string() },
        ...{ version: z.number().nullable(), at: z.number().nullable(), by: z.string().nullable() },
        // Sets of earlier versions lack these two.
        text: z.string().nullable().default(null),
        folder: z.string().nullable().default(null),
      })
      .nullable(),
  ]),
)
export type SetEntries = z.output<typeof setEntries>
