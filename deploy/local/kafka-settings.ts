/**
 * Where the broker of the tests differs from Kafka as it is shipped, and why. Nothing else does; nor does any
 * of these let a client do what it otherwise could not. A broker that is asked for as `stock` has only those
 * that one broker alone needs to work at all.
 */
const DIFFERENT: readonly {
  readonly setting: string
  readonly value: string
  readonly why: 'one broker' | 'sooner' | 'stricter'
}[] = [
  // There is one broker, so nothing has three replicas, of which two are in sync.
  { setting: 'offsets.topic.replication.factor', value: '1', why: 'one broker' },
  { setting: 'transaction.state.log.replication.factor', value: '1', why: 'one broker' },
  { setting: 'transaction.state.log.min.isr', value: '1', why: 'one broker' },
  { setting: 'share.coordinator.state.topic.replication.factor', value: '1', why: 'one broker' },
  { setting: 'share.coordinator.state.topic.min.isr', value: '1', why: 'one broker' },
  // Fifty partitions each, made at the first use, would take longer than many a test.
  { setting: 'offsets.topic.num.partitions', value: '8', why: 'sooner' },
  { setting: 'transaction.state.log.num.partitions', value: '8', why: 'sooner' },
  // 3 s, for which a new group waits for more members.
  { setting: 'group.initial.rebalance.delay.ms', value: '0', why: 'sooner' },
  // Compaction, expiry and deletion within seconds instead of minutes.
  { setting: 'log.cleaner.backoff.ms', value: '500', why: 'sooner' },
  { setting: 'log.retention.check.interval.ms', value: '1000', why: 'sooner' },
  { setting: 'log.initial.task.delay.ms', value: '1000', why: 'sooner' },
  { setting: 'log.segment.delete.delay.ms', value: '1000', why: 'sooner' },
  { setting: 'offsets.retention.check.interval.ms', value: '1000', why: 'sooner' },
  // A topic that Sluice forgot to make is to be missed.
  { setting: 'auto.create.topics.enable', value: 'false', why: 'stricter' },
]

/** Settings by name; `stock`: those alone without which one broker does not work. */
export function differentSettings({ stock }: { readonly stock: boolean }): { [setting: string]: string } {
  const chosen = DIFFERENT.filter(({ why }) => !stock || why === 'one broker')
  return Object.fromEntries(chosen.map(({ setting, value }) => [setting, value]))
}
