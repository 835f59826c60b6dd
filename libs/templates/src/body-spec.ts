/** The bodies that a trigger can have, as users write them (INTERFACE.md §1). */

/** Where a value in a field mapper comes from. */
export type FieldSpec =
  /** A column. */
  string | readonly FieldSpec[] | FieldMap

/**
 * Fields by name. A map with the one key `value` stands for that value as it is, with the one key `template`
 * for a text, with the one key `object` for the map that is there, whatever its keys.
 */
export interface FieldMap {
  readonly [name: string]: unknown
}

export type BodySpec =
  | { readonly json: string }
  | { readonly jsonColumn: string; readonly wrap?: string | undefined }
  | { readonly fields: FieldMap; readonly wrap?: string | undefined }
  | { readonly xml: string }
  | { readonly form: { readonly [name: string]: string } }
  | { readonly text: { readonly contentType: string; readonly template: string } }
