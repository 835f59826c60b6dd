/**
 * The records that services look up by name (PROTOCOL.md §1). `avro-schemas.ts` has the same shapes in Avro.
 */
import { z } from 'zod'

/** A resource as applied, on `resources`, keyed by kind/name; `spec` is JSON. */
export interface ResourceRecord {
  readonly kind: string
  readonly name: string
  /** The project whose folder it comes from; empty for one that was written on a server. */
  readonly project: string
  readonly spec: string
  /** Grows with each change of the name, also across removals. Records of earlier versions have none. */
  readonly version: number | null
  /** When it was changed, and who did it. */
  readonly at: number | null
  readonly by: string | null
  /**
   * The YAML that `spec` was read from, with the comments of its author. Null where the fields alone were
   * written, where it is too long, and in records of earlier versions.
   */
  readonly text: string | null
  /**
   * The folder of a project that is called like its folder, which two projects may be. Null for a project
   * that has a name of its own, for what was written on a server, and in records of earlier versions.
   */
  readonly folder: string | null
}

/** The project that resources are written for. */
export interface Owner {
  readonly project: string
  /**
   * The folder of a project that is called like its folder; absent or null for one with a name of its own.
   */
  readonly folder?: string | null | undefined
  /** True in a folder that has not noted its project yet: then what any project has left in it is its own. */
  readonly isOnly?: boolean | undefined
}

/**
 * A secret of the vault, on `secrets`, keyed by kind/name. Its value is sealed (PROTOCOL.md, "Credentials"):
 * who can read the topic has the name, and not the value.
 */
export interface SecretRecord {
  /** `secret`: set by a person. `login`: tokens of a destination, kept by Sluice. */
  readonly kind: string
  readonly name: string
  /** Grows with each change of the name, also across removals. */
  readonly version: number
  /** Where it may go, as `SLUICE_SECRET_<NAME>_FOR` has it; null if nobody has said. */
  readonly grants: string | null
  readonly since: number
  /**
   * Who set it: the name of a token, or of the user of a command. No key vouches for it. Null where nobody
   * has said, and in records of earlier versions.
   */
  readonly by: string | null
  /** Id of the key that it is sealed with. */
  readonly sealedBy: string
  /** Nonce, ciphertext and tag of AES-256-GCM. */
  readonly sealed: Uint8Array
}

/** What is known of an alert and one of its syncs, on `alerts`, keyed by alert/sync; `state` is JSON. */
export interface AlertRecord {
  readonly alert: string
  readonly sync: string
  readonly state: string
}

/** A definition, on `definitions`, keyed by its hash; `spec` is JSON. */
export interface DefinitionRecord {
  readonly hash: string
  readonly spec: string
}

/** What a set on `resources` holds: keys of that topic, each with its record, or null for a tombstone. */
export const setEntries = z.array(
  z.tuple([
    z.string(),
    z
      .object({
        ...{ kind: z.string(), name: z.string(), project: z.string(), spec: z.string() },
        ...{ version: z.number().nullable(), at: z.number().nullable(), by: z.string().nullable() },
        // Sets of earlier versions have none.
        text: z.string().nullable().default(null),
        folder: z.string().nullable().default(null),
      })
      .nullable(),
  ]),
)
export type SetEntries = z.output<typeof setEntries>
