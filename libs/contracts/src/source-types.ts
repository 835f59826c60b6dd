/** The types of sources, for parts that treat several types alike. */
import type { SourceSpec } from './resources.ts'

/** A source on files: it has a path, and neither a server nor secrets. */
export type FileSourceSpec = Extract<SourceSpec, { readonly path: string }>
/** A source on a database server. */
export type ServerSourceSpec = Extract<SourceSpec, { readonly url: string }>

/** The port of each type of database server whose URL names none. */
export const SERVER_PORTS: { readonly [type in ServerSourceSpec['type']]: number } = {
  postgres: 5432,
  mysql: 3306,
}
