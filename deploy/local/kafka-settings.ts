/**
 * All settings in which the broker of the tests differs from Kafka's defaults, and why. None of them lets a
 * client do more than it otherwise could. A `stock` broker has only the settings without which a single
 * broker does not work.
 */
const DIFFERENT: readonly {
  readonly setting: string
  readonly value: string
  readonly why: 'one broker' | 'sooner' | 'stricter'
}[] = [
  // With one broker, no topic can have three replicas of which two are in sync.
  { setting: 'offsets.topic.replication.factor', value: '1', why: 'one broker' },
  { setting: 'transaction.state.log.replication.factor', value: '1', why: 'one broker' },
  { setting: 'transaction.state.log.min.isr', value: '1', why: 'one broker' },
  { setting: 'share.coordinator.state.topic.replication.factor', value: '1', why: 'one broker' },
  { setting: 'share.coordinator.state.topic.min.isr', value: '1', why: 'one broker' },
  // By default each of these topics gets fifty partitions, and making them takes longer than many tests.
  { setting: 'offsets.topic.num.partitions', value: '8', why: 'sooner' },
  { setting: 'transaction.state.log.num.partitions', value: '8', why: 'sooner' },
  // By default a new group waits 3 s for more members.
  { setting: 'group.initial.rebalance.delay.ms', value: '0', why: 'sooner' },
  // With these, compaction, expiry and deletion happen within seconds instead of minutes.
  { setting: 'log.cleaner.backoff.ms', value: '500', why: 'sooner' },
  { setting: 'log.retention.check.interval.ms', value: '1000', why: 'sooner' },
  { setting: 'log.initial.task.delay.ms', value: '1000', why: 'sooner' },
  { setting: 'log.segment.delete.delay.ms', value: '1000', why: 'sooner' },
  { setting: 'offsets.retention.check.interval.ms', value: '1000', why: 'sooner' },
  // If Kafka made missing topics, nobody would notice that Sluice forgot to make one.
  { setting: 'auto.create.topics.enable', value: 'false', why: 'stricter' },
]

/** Settings by name. With `stock`, only those without which a single broker does not work. */
export function differentSettings({ stock }: { readonly stock: boolean }): { [setting: string]: string } {
  const chosen = DIFFERENT.filter(({ why }) => !stock || why === 'one broker')
  return Object.fromEntries(chosen.map(({ setting, value }) => [setting, value]))
}
