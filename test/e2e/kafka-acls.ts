/** Rights on a Kafka, given and taken so that they are in force when a test goes on. */
import type { AclEntry, Admin } from 'kafkajs'
import { expect, vi } from 'vitest'

/** The controller confirms a change of rights before the broker has read it. So both wait for the broker. */
async function inForce(admin: Admin, entries: readonly AclEntry[], wanted: boolean): Promise<void> {
  await vi.waitFor(
    async () => {
      for (const entry of entries) {
        const { resources } = await admin.describeAcls(entry)
        expect([entry, resources.length > 0]).toEqual([entry, wanted])
      }
    },
    { timeout: 30_000, interval: 50 },
  )
}

export async function grantRights(admin: Admin, entries: AclEntry[]): Promise<void> {
  await admin.createAcls({ acl: entries })
  await inForce(admin, entries, true)
}

export async function takeRights(admin: Admin, entries: AclEntry[]): Promise<void> {
  await admin.deleteAcls({ filters: entries })
  await inForce(admin, entries, false)
}
