/**
 * Explains the errors that Redis answers with. Most refusals are transient: they end by themselves, or once
 * somebody has mended Redis, and Sluice waits. Others say that the settings are wrong, and waiting does not
 * help.
 */

export interface Refusal {
  /**
   * transient: the same call may succeed later. settings: somebody has to change the settings of Sluice or of
   * its user. script: a script of ours is wrong.
   */
  readonly kind: 'transient' | 'settings' | 'script'
  /** The word that Redis' answer begins with, such as `OOM`; `ERR` if it has none. */
  readonly word: string
  /** The meaning and the remedy, as a text that follows the address of Redis. */
  readonly meaning: string
}

type Known = readonly [kind: Refusal['kind'], meaning: string]

/** The refusals by the word that Redis' answer begins with. */
const BY_WORD: Readonly<Record<string, Known>> = {
  OOM: ['transient', 'has no memory left for writes: raise maxmemory, or make room'],
  READONLY: ['transient', 'is a replica and takes no writes; after a failover the new master is looked for'],
  NOREPLICAS: ['transient', 'has fewer good replicas than min-replicas-to-write asks for'],
  BUSY: ['transient', 'is busy with a script of another client (SCRIPT KILL ends it)'],
  LOADING: ['transient', 'is still loading its data'],
  MASTERDOWN: ['transient', 'is a replica that has lost its master'],
  CLUSTERDOWN: ['transient', 'is a cluster with a part that is down'],
  TRYAGAIN: ['transient', 'is a cluster that is moving its slots'],
  MISCONF: ['transient', 'cannot write to its disk, and so takes no writes'],
  UNKILLABLE: ['transient', 'is busy with a script of another client that has written already'],
  MOVED: ['settings', 'is a node of a cluster: write SLUICE_REDIS_URL as redis+cluster://…'],
  ASK: ['settings', 'is a node of a cluster: write SLUICE_REDIS_URL as redis+cluster://…'],
  CROSSSLOT: ['settings', 'is a node of a cluster: write SLUICE_REDIS_URL as redis+cluster://…'],
  NOAUTH: ['settings', 'wants a password: put it into SLUICE_REDIS_URL'],
  WRONGPASS: ['settings', 'does not know this user with this password'],
  NOPERM: ['settings', 'denies a right that Sluice needs (docs/OPERATIONS.md lists them)'],
  DENIED: ['settings', 'is in protected mode and refuses connections from elsewhere'],
  WRONGTYPE: ['settings', 'has keys of another program under our prefix: choose another SLUICE_PREFIX'],
}

/** The refusals by the text of the answer, for words without a meaning. The first that fits counts. */
const BY_TEXT: readonly (readonly [pattern: RegExp, word: string, known: Known])[] = [
  [/ACL failure|can't run this command|no permissions|can't access at least one/i, 'NOPERM', known('NOPERM')],
  [/DB index is out of range|SELECT is not allowed/i, 'ERR', ['settings', 'has no such database']],
  [/cluster support disabled/i, 'ERR', ['settings', 'is no cluster: write SLUICE_REDIS_URL as redis://…']],
  [/non local key in a cluster/i, 'MOVED', known('MOVED')],
  [/unknown command/i, 'ERR', ['settings', 'lacks a command that Sluice needs']],
  [/invalid password|without any password|no password is set/i, 'WRONGPASS', known('WRONGPASS')],
  // A script that ran before fails because of the values that it reads, which anybody may have written.
  [
    /^(?!.*(syntax error|Error compiling)).*user_script:\d+|(is|are) not (an integer|a valid float)|would overflow/i,
    'ERR',
    [
      'settings',
      'has values under our prefix that no process of Sluice writes: delete these keys, or choose another SLUICE_PREFIX. ' +
        'Otherwise it is a bug in a script of Sluice',
    ],
  ],
  [/max number of clients/i, 'ERR', ['transient', 'has as many clients as it takes (maxclients)']],
]

function known(word: string): Known {
  return BY_WORD[word] ?? ['transient', 'refuses for now']
}

/** Reads an error answer of Redis. */
export function refusalOf(answer: string): Refusal {
  // The text does not begin with the answer if a cluster client gave up on redirections, or if a script
  // passed the answer on.
  const word = /(?:^|ReplyError: |error: )([A-Z]{3,})\b/.exec(answer)?.[1] ?? 'ERR'
  const byWord = BY_WORD[word]
  if (byWord !== undefined) return { word, kind: byWord[0], meaning: byWord[1] }
  const said = BY_TEXT.find(([pattern]) => pattern.test(answer))
  if (said !== undefined) return { word: said[1], kind: said[2][0], meaning: said[2][1] }
  if (word === 'ERR' || /user_script|script:/i.test(answer))
    return { word, kind: 'script', meaning: 'cannot run a script of Sluice, which is a bug in it' }
  return { word, kind: 'transient', meaning: 'refuses for now' }
}
