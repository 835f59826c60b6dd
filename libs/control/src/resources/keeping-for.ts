/** The resources for somebody with some roles. */
import type { ResourceKeeping } from '../port.ts'
import { ALSO_WANTED, assertMay, ROLE_OF, type Role } from '../roles.ts'

/** Throws `forbidden` for what the roles do not allow, before it asks. */
export function keepingFor(roles: ReadonlySet<Role>, keeping: ResourceKeeping): ResourceKeeping {
  const may = async <T>(operation: keyof ResourceKeeping, ask: () => Promise<T>): Promise<T> => {
    for (const wanted of [ROLE_OF[operation], ALSO_WANTED[operation]])
      if (wanted !== undefined) assertMay(roles, wanted)
    return await ask()
  }
  return {
    resource: (...of) => may('resource', () => keeping.resource(...of)),
    putResource: (...of) => may('putResource', () => keeping.putResource(...of)),
    deleteResource: (...of) => may('deleteResource', () => keeping.deleteResource(...of)),
    resourceHistory: (...of) => may('resourceHistory', () => keeping.resourceHistory(...of)),
    rollbackResource: (...of) => may('rollbackResource', () => keeping.rollbackResource(...of)),
    diff: (...of) => may('diff', () => keeping.diff(...of)),
    apply: (...of) => may('apply', () => keeping.apply(...of)),
    checkDocuments: (...of) => may('checkDocuments', () => keeping.checkDocuments(...of)),
    previewDocuments: (...of) => may('previewDocuments', () => keeping.previewDocuments(...of)),
    rows: (...of) => may('rows', () => keeping.rows(...of)),
  }
}
