/** How many requests a destination may have in flight if neither it nor its sync says so. */
export const DEFAULT_CONCURRENCY = 100
