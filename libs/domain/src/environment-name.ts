/** The names of environments, which are parts of file names, of topics and of keys of Redis. */

/** The pattern of a name, without anchors. */
export const ENVIRONMENT_NAME = '[a-z0-9][a-z0-9-]{0,19}'

/** The names that are allowed, for messages. */
export const ENVIRONMENT_NAME_WANTED = 'a-z, 0-9 and -, at most 20 of them'
