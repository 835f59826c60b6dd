/** Where a run ends in one partition, for trimming. */
export interface PartitionEnd {
  readonly partition: number
  readonly requests: number
  readonly attempts: number
}
