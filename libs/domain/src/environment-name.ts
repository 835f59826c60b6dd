/** The names that environments may have: they stand in file names, in topics and in keys of Redis. */

/** The pattern of a name, without anchors. */
export const ENVIRONMENT_NAME = '[a-z0-9][a-z0-9-]{0,19}'

/** Says in a message which names there may be. */
export const ENVIRONMENT_NAME_WANTED = 'a-z, 0-9 and -, at most 20 of them'
